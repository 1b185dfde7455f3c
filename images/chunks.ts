// The files that esbuild split the code into, and which of them load which. Paths are relative to the bundle.
import { relative } from 'node:path'
import type { Metafile, OutputFile } from 'esbuild'
import type { Siblings } from './siblings.ts'

export interface Chunks {
  readonly texts: ReadonlyMap<string, string>
  /** What a file takes at once, and what it may load later. */
  importsOf(path: string): readonly { readonly path: string; readonly isLater: boolean }[]
  /** Itself and the files that are loaded with it, sorted; with `isWhole` also those that may be later. */
  reach(from: string, isWhole: boolean): readonly string[]
  /** A worker or preload (siblings.ts), which is started with nothing loaded. */
  isNamedByUrl(path: string): boolean
}

export function createChunks(
  root: string,
  { metafile, outputFiles }: { readonly metafile: Metafile; readonly outputFiles: readonly OutputFile[] },
  siblings: Siblings,
): Chunks {
  const code = outputFiles.filter(({ path }) => path.endsWith('.js'))
  const texts = new Map(code.map(({ path, text }) => [relative(root, path), text]))

  function importsOf(path: string) {
    const { imports = [], inputs = {} } = metafile.outputs[path] ?? {}
    const inside = imports.filter(({ external }) => external !== true)
    return [
      ...inside.map(({ path: to, kind }) => ({ path: to, isLater: kind !== 'import-statement' })),
      ...siblings.namedBy(Object.keys(inputs)).map((to) => ({ path: to, isLater: true })),
    ]
  }

  function reach(from: string, isWhole: boolean): readonly string[] {
    const found = new Set<string>()
    const queue = [from]
    for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
      if (found.has(path)) continue
      found.add(path)
      for (const next of importsOf(path)) if (isWhole || !next.isLater) queue.push(next.path)
    }
    return [...found].toSorted()
  }

  const named = new Set(
    [...texts.keys()].flatMap((path) => siblings.namedBy(Object.keys(metafile.outputs[path]?.inputs ?? {}))),
  )
  return { texts, importsOf, reach, isNamedByUrl: (path) => named.has(path) }
}
