// The libraries that a binary names, read from its own bytes: so it can be asked of an architecture that this machine
// cannot run. 64-bit little-endian ELF, as the System V ABI has it (chapters "Program Header" and "Dynamic Section").
import { open } from 'node:fs/promises'

const loadable = 1
const dynamic = 2
const needed = 1n
const stringTable = 5n

type Segment = { readonly type: number; readonly offset: number; readonly address: number; readonly size: number }

/** The names under DT_NEEDED, in their order; none for a static binary. Throws where the file is no such ELF file. */
export async function neededLibraries(path: string): Promise<string[]> {
  const file = await open(path)
  try {
    const read = async (offset: number, length: number) => {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset)
      return buffer.subarray(0, bytesRead)
    }
    const header = await read(0, 64)
    // Magic, then class 2 (64 bits), data 1 (little-endian).
    if (header.length < 64 || header.toString('latin1', 0, 6) !== '\x7fELF\x02\x01')
      throw new Error(`${path} is no 64-bit little-endian ELF file`)
    const entrySize = header.readUInt16LE(54)
    const table = await read(Number(header.readBigUInt64LE(32)), entrySize * header.readUInt16LE(56))
    const segments: Segment[] = []
    for (let at = 0; at + 56 <= table.length; at += entrySize)
      segments.push({
        type: table.readUInt32LE(at),
        offset: Number(table.readBigUInt64LE(at + 8)),
        address: Number(table.readBigUInt64LE(at + 16)),
        size: Number(table.readBigUInt64LE(at + 32)),
      })
    const section = segments.find(({ type }) => type === dynamic)
    if (section === undefined) return []

    const entries = await read(section.offset, section.size)
    const names: number[] = []
    let strings: number | undefined
    for (let at = 0; at + 16 <= entries.length; at += 16) {
      const tag = entries.readBigUInt64LE(at)
      if (tag === 0n) break
      const value = Number(entries.readBigUInt64LE(at + 8))
      if (tag === needed) names.push(value)
      if (tag === stringTable) strings = value
    }
    if (names.length === 0) return []
    const home = segments.find(
      ({ type, address, size }) =>
        type === loadable && strings !== undefined && address <= strings && strings < address + size,
    )
    if (home === undefined || strings === undefined) throw new Error(`${path} has names of libraries in no segment`)
    const start = strings - home.address + home.offset
    return await Promise.all(
      names.map(async (name) => {
        const bytes = await read(start + name, 256)
        return bytes.toString('latin1', 0, bytes.indexOf(0))
      }),
    )
  } finally {
    await file.close()
  }
}
