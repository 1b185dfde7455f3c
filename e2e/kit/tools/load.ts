// Load on one address until it is ended: clients that keep their connection, and fresh connections beside them. Nobody
// tries again: a request on a kept connection that the server closed under it has failed.
import { Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { ask } from './ask.ts'
import type { Answer, Loaded, LoadRequest } from './protocol.ts'

export interface Load {
  end(): Promise<Loaded>
}

export function startLoad({ address, clients, pauseMs, everyMs }: LoadRequest): Load {
  const failed = { refused: 0, reset: 0, truncated: 0, timeout: 0, other: 0, status: 0 }
  const answers: Record<string, number> = {}
  const faults: string[] = []
  let requests = 0
  let slowestMs = 0
  let isOver = false

  async function note(asking: Promise<Answer>, how: string): Promise<void> {
    const began = performance.now()
    const { status, body, error } = await asking
    requests++
    slowestMs = Math.max(slowestMs, performance.now() - began)
    const kind = error ?? (status < 200 || status > 299 ? 'status' : undefined)
    if (kind === undefined) answers[body.trim()] = (answers[body.trim()] ?? 0) + 1
    else {
      failed[kind]++
      faults.push(`${how}: ${kind} ${status} after ${(performance.now() - began).toFixed()} ms`)
    }
  }
  async function keepAsking(): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    while (!isOver) {
      await note(ask(address, agent), 'kept connection')
      await sleep(pauseMs)
    }
    agent.destroy()
  }
  const open = new Set<Promise<void>>()
  const timer = setInterval(() => {
    const one = note(ask(address), 'fresh connection').then(() => void open.delete(one))
    open.add(one)
  }, everyMs)
  const running = Array.from({ length: clients }, keepAsking)

  return {
    async end() {
      isOver = true
      clearInterval(timer)
      await Promise.all([...running, ...open])
      return { requests, failed, answers, slowestMs, faults: faults.slice(0, 10) }
    },
  }
}
