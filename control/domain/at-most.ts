// Lets so many run at once and some more wait. Who comes after that is told to come again.
import { ControlError } from './errors.ts'

export type AtMost = <T>(work: () => Promise<T>) => Promise<T>

export function createAtMost(running: number, waiting: number, what: string): AtMost {
  const queue: (() => void)[] = []
  let free = running
  return async (work) => {
    if (free > 0) free--
    else if (queue.length >= waiting) throw new ControlError('too_many', `too many ${what}: try again in a few seconds`)
    else await new Promise<void>((resolve) => queue.push(resolve))
    try {
      return await work()
    } finally {
      const next = queue.shift()
      if (next === undefined) free++
      else next()
    }
  }
}
