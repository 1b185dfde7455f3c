// Asks a URL every 20 ms, whether the last was answered or not: the longest answer is how long an event loop was blocked.
import { Agent, get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

const everyMs = 20

/** Stops asking, waits for what is asked, and answers the longest time in milliseconds. */
export type StopAsking = () => Promise<number>

/** Resolves once there was an answer. `untilMs` is how long that may take. */
export async function keepAsking(url: string, untilMs = 10_000): Promise<StopAsking> {
  const agent = new Agent({ keepAlive: true })
  const deadline = performance.now() + untilMs
  while ((await askOnce(url, agent)) === undefined) {
    if (performance.now() > deadline) throw new Error(`${url} did not answer for ${untilMs} ms`)
    await sleep(1)
  }
  let longest = 0
  const open = new Set<Promise<void>>()
  const ask = () => {
    const asked = askOnce(url, agent).then((ms = 0) => {
      longest = Math.max(longest, ms)
      open.delete(asked)
    })
    open.add(asked)
  }
  ask()
  const timer = setInterval(ask, everyMs)
  return async () => {
    clearInterval(timer)
    await Promise.all(open)
    agent.destroy()
    return longest
  }
}

/** Milliseconds; `undefined` where nobody answers: not yet, or no longer. */
function askOnce(url: string, agent: Agent): Promise<number | undefined> {
  return new Promise((resolve) => {
    const startedAt = performance.now()
    get(url, { agent }, (response) => {
      response.resume().once('close', () => resolve(performance.now() - startedAt))
    }).on('error', () => resolve(undefined))
  })
}
