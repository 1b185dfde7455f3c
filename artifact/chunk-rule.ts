// Where the entries of a large folder are cut into chunks: by names alone, so that one entry more or less changes the chunk
// that it is in and leaves the others as they are.
import { hash } from 'node:crypto'

/** A folder of no more is one object. */
export const maxChunkEntries = 128

const meanMask = 63 // one name in 64

/** Whether an entry of this name always begins a chunk; in a full chunk any next one does. */
export function beginsChunk(name: string): boolean {
  return ((hash('sha256', Buffer.from(name, 'latin1'), 'buffer')[0] ?? 0) & meanMask) === 0
}
