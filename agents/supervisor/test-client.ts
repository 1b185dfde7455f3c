// For tests: strict clients. Whatever is not a whole 2xx answer is a failure: reset, refused, cut short, late.
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest, Agent as TlsAgent } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Load {
  readonly answered: () => number
  readonly failures: () => readonly string[]
  /** The versions that answered, each once, in the order they came. */
  readonly versions: () => readonly string[]
  stop(): Promise<void>
}

const patienceMs = 5000

/** `unix:` and a path, where it is no URL of http. Connections that stay open and send one request after another, beside fresh ones every few milliseconds. */
export function startLoad(url: string, keptAlive = 8, everyMs = 5): Load {
  const isTls = url.startsWith('https')
  const agent = isTls
    ? new TlsAgent({ keepAlive: true, maxSockets: keptAlive })
    : new Agent({ keepAlive: true, maxSockets: keptAlive })
  const failures: string[] = []
  const versions: string[] = []
  const running = new Set<Promise<void>>()
  let answered = 0
  let isStopping = false

  async function send(by: Agent | false): Promise<void> {
    try {
      const body = await ask(url, by)
      answered++
      const version =
        /"version":"([^"]*)"|^\S+ (\S+) \d+\n$/
          .exec(body)
          ?.slice(1)
          .find((one) => one !== undefined) ?? body
      if (versions.at(-1) !== version && !versions.includes(version)) versions.push(version)
    } catch (error) {
      failures.push(`${by === false ? 'fresh' : 'kept alive'}: ${String(error)}`)
    }
  }
  function track(sent: Promise<void>): void {
    running.add(sent)
    void sent.finally(() => running.delete(sent))
  }
  async function keepSending(): Promise<void> {
    while (!isStopping) {
      await send(agent)
      await sleep(1)
    }
  }
  const timer = setInterval(() => track(send(false)), everyMs)
  for (let i = 0; i < keptAlive; i++) track(keepSending())
  return {
    answered: () => answered,
    failures: () => failures,
    versions: () => versions,
    async stop() {
      isStopping = true
      clearInterval(timer)
      await Promise.all(running)
      agent.destroy()
    },
  }
}

export function ask(url: string, agent: Agent | false = false): Promise<string> {
  return new Promise((resolve, reject) => {
    const take = (response: IncomingMessage) => {
      let body = ''
      response.setEncoding('utf8').on('data', (piece: string) => {
        body += piece
      })
      response.on('error', reject)
      response.on('close', () => {
        const status = response.statusCode ?? 0
        if (response.complete && status >= 200 && status < 300) resolve(body)
        else reject(new Error(`status ${status}, ${response.complete ? 'whole' : 'cut short'}`))
      })
    }
    const sent = url.startsWith('unix:')
      ? httpRequest({ socketPath: url.slice('unix:'.length), agent, timeout: patienceMs }, take)
      : url.startsWith('https')
        ? httpsRequest(url, { agent, timeout: patienceMs, rejectUnauthorized: false }, take)
        : httpRequest(url, { agent, timeout: patienceMs }, take)
    sent.on('timeout', () => sent.destroy(new Error('no answer in time')))
    sent.on('error', reject)
    sent.end()
  })
}
