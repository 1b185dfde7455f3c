// A steady load: every few milliseconds a request on a connection of its own, beside a few that keep theirs alive.
// Whatever is not a whole 2xx answer counts as failed.
import { Agent, get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Load {
  readonly counts: () => { readonly answered: number; readonly failed: number }
  /** Resolves when an answer contains `text`, with performance.now() of its arrival. */
  firstAnswer(text: string): Promise<number>
  stop(): Promise<void>
}

const everyMs = 5
const keptAlive = 4
const answerMs = 5000

export function startLoad(url: string): Load {
  let answered = 0
  let failed = 0
  let stopping = false
  const waiting = new Set<{ text: string; resolve: (at: number) => void }>()
  const kept = new Agent({ keepAlive: true, maxSockets: keptAlive })
  const running = new Set<Promise<void>>()

  async function send(agent: Agent | false): Promise<void> {
    try {
      const body = await ask(url, agent)
      answered++
      for (const one of waiting)
        if (body.includes(one.text)) {
          waiting.delete(one)
          one.resolve(performance.now())
        }
    } catch {
      failed++
    }
  }
  function track(request: Promise<void>): Promise<void> {
    running.add(request)
    return request.finally(() => running.delete(request))
  }
  async function keepSending(): Promise<void> {
    while (!stopping) {
      await send(kept)
      await sleep(everyMs)
    }
  }
  const timer = setInterval(() => void track(send(false)), everyMs)
  for (let i = 0; i < keptAlive; i++) void track(keepSending())

  return {
    counts: () => ({ answered, failed }),
    firstAnswer: (text) => new Promise((resolve) => waiting.add({ text, resolve })),
    async stop() {
      stopping = true
      clearInterval(timer)
      await Promise.all(running)
      kept.destroy()
    },
  }
}

/** The body of a whole 2xx answer. By default on a connection of its own: one that is open may belong to the process before. */
export function ask(url: string, agent: Agent | false = false): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent, timeout: answerMs }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (piece: string) => {
        body += piece
      })
      response.on('error', reject)
      response.on('close', () => {
        const status = response.statusCode ?? 0
        if (response.complete && status >= 200 && status < 300) resolve(body)
        else reject(new Error(`status ${status}`))
      })
    })
    request.on('timeout', () => request.destroy(new Error('no answer')))
    request.on('error', reject)
  })
}
