// Asks addresses from this process, again and again: for machines that reach pods by their address.
import { ask } from './tools/ask.ts'
import type { Address } from './tools/protocol.ts'

export interface Asked {
  readonly address: Address
  readonly requests: number
  /** What was not answered with 2xx, and when. */
  readonly failed: readonly string[]
}

export function keepAsking(addresses: readonly Address[], everyMs: number) {
  const open = new Set<Promise<void>>()
  const rows = addresses.map((address) => ({ address, requests: 0, failed: Array.of<string>() }))
  const timer = setInterval(() => {
    for (const row of rows) {
      const one = ask(row.address).then(({ status, error }) => {
        open.delete(one)
        row.requests++
        if (status < 200 || status > 299) row.failed.push(`${new Date().toISOString()} ${error ?? status}`)
      })
      open.add(one)
    }
  }, everyMs)
  return {
    async end(): Promise<readonly Asked[]> {
      clearInterval(timer)
      await Promise.all(open)
      return rows
    },
  }
}
