// Trees that were taken, with their folder objects and the digests of their files: those of late, bounded by their entries.
import type { AppName } from './model.ts'

/** Of a whole tree; equal files count each time. */
export interface TreeTotals {
  readonly entries: number
  readonly bytes: number
}

export interface HeldTree {
  /** Of the root, 64 hex characters. */
  readonly digest: string
  readonly objects: ReadonlyMap<string, Buffer>
  /** Sizes by digest. */
  readonly contents: ReadonlyMap<string, number>
  /** Undefined where nobody has looked at it as a whole since the start. */
  readonly totals: TreeTotals | undefined
}

export interface TreeMemory {
  find(app: AppName, digest: string): HeldTree | undefined
  /** The latest first. */
  of(app: AppName): readonly HeldTree[]
  keep(app: AppName, tree: HeldTree): void
  forget(app: AppName): void
}

/** An entry is some 150 bytes here. */
const mostEntries = 400_000

export function createTreeMemory(): TreeMemory {
  /** By app and digest, the longest unused first. */
  const held = new Map<string, { readonly app: AppName; readonly tree: HeldTree }>()
  const keyOf = (app: AppName, digest: string) => `${app}/${digest}`
  const weightOf = ({ objects, contents }: HeldTree) => objects.size * 20 + contents.size

  function keep(app: AppName, tree: HeldTree): void {
    const key = keyOf(app, tree.digest)
    held.delete(key)
    held.set(key, { app, tree })
    let weight = [...held.values()].reduce((sum, one) => sum + weightOf(one.tree), 0)
    for (const [oldest, one] of held) {
      if (weight <= mostEntries || held.size === 1) return
      held.delete(oldest)
      weight -= weightOf(one.tree)
    }
  }

  return {
    find(app, digest) {
      const found = held.get(keyOf(app, digest))?.tree
      if (found !== undefined) keep(app, found)
      return found
    },
    of: (app) =>
      [...held.values()]
        .filter((one) => one.app === app)
        .map(({ tree }) => tree)
        .toReversed(),
    keep,
    forget(app) {
      for (const [key, one] of held) if (one.app === app) held.delete(key)
    },
  }
}
