// One save: from the write of the file to the first answer of the new code, and what failed meanwhile. Asked from this machine,
// over a connection of its own each time.
import { setTimeout as sleep } from 'node:timers/promises'
import { ask } from '@aether/e2e/kit/tools/ask'
import type { Address } from '@aether/e2e/kit/tools/protocol'

export interface Saved {
  readonly firstNewMs: number
  readonly requests: number
  readonly failed: number
}

const everyMs = 5
const settleMs = 1_000
const limitMs = 60_000

export async function measureSave(address: Address, text: string, save: () => Promise<void>): Promise<Saved> {
  let [requests, failed, firstNewMs, isOver]: [number, number, number, boolean] = [0, 0, Number.NaN, false]
  const open = new Set<Promise<void>>()
  const began = performance.now()
  const timer = setInterval(() => {
    const one = ask(address).then(({ status, body }) => {
      open.delete(one)
      requests += 1
      if (status !== 200) failed += 1
      else if (Number.isNaN(firstNewMs) && body.trim().endsWith(` ${text}`)) firstNewMs = performance.now() - began
    })
    open.add(one)
  }, everyMs)
  try {
    await save()
    while (!isOver) {
      await sleep(everyMs)
      isOver = !Number.isNaN(firstNewMs) || performance.now() - began > limitMs
    }
    // What the change breaks afterwards counts too.
    await sleep(settleMs)
  } finally {
    clearInterval(timer)
    await Promise.all(open)
  }
  if (Number.isNaN(firstNewMs)) throw new Error(`${text} was never answered`)
  return { firstNewMs, requests, failed }
}
