// The artifacts that `release` is measured with; README.md shows them.

export interface Case {
  readonly name: string
  /** Tree on disk, about. */
  readonly megabytes: number
  readonly content: Content
}

type Content =
  /** So many files of words; of a hundred lines `freshLines` are said for the first time, which decides how far gzip gets. */
  | { readonly kind: 'code'; readonly files: number; readonly freshLines: number }
  | { readonly kind: 'incompressible' }
  /** The packages that examples/fastify needs. */
  | { readonly kind: 'node-modules' }

const ordinary: readonly Case[] = [
  { name: 'a', megabytes: 0.2, content: { kind: 'code', files: 50, freshLines: 12 } },
  { name: 'b', megabytes: 85, content: { kind: 'code', files: 8047, freshLines: 12 } },
  { name: 'c', megabytes: 389, content: { kind: 'code', files: 22_373, freshLines: 22 } },
  { name: 'd', megabytes: 524, content: { kind: 'incompressible' } },
  { name: 'node-modules', megabytes: 10, content: { kind: 'node-modules' } },
]

// Files of the mean size of b: what grows is their number, and the bytes with it.
const curve: readonly Case[] = [1, 2, 4, 8, 16].map((thousands) => ({
  name: `${thousands}k`,
  megabytes: thousands * 10.56,
  content: { kind: 'code', files: thousands * 1000, freshLines: 12 },
}))

/** Throws where a name is of no case. */
export function chooseCases(names: readonly string[] | undefined, isCurve: boolean): readonly Case[] {
  if (names === undefined) return isCurve ? curve : ordinary
  const all = [...ordinary, ...curve]
  return names.map((name) => {
    const found = all.find((one) => one.name === name)
    if (found === undefined)
      throw new Error(`--cases has "${name}": take from ${all.map((one) => one.name).join(', ')}, with commas between`)
    return found
  })
}
