// Small files on the way to a swap are read at once: each that goes through the thread pool waits its turn for a processor,
// and there is nothing else that this process could do meanwhile (docs/adr/0011-overlap.md).
import { readFileSync } from 'node:fs'

/** Undefined where it is not there or cannot be read. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
