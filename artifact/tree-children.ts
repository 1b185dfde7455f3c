// Which objects a folder object leads to, without the rest of what it says: for walks over trees that were taken before.
import { parseObject } from './tree-object.ts'

/** Digests of chunks, or of folders. Throws TreeError for what is no object. */
export function childrenOf(bytes: Buffer): readonly string[] {
  // Letter, length and name of each entry, then what its kind has.
  const headBytes = 19
  if (bytes[14] !== 1) {
    const object = parseObject(bytes)
    return object.kind === 'branch' ? object.chunks : []
  }
  const found: string[] = []
  for (let at = headBytes; at < bytes.length; ) {
    const letter = bytes[at]
    at += 3 + bytes.readUInt16BE(at + 1)
    if (letter === 0x64) found.push(bytes.toString('hex', at, at + 32))
    if (letter === 0x6c) at += 2 + bytes.readUInt16BE(at)
    else at += letter === 0x64 ? 32 : 40
  }
  return found
}
