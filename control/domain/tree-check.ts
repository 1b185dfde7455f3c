// Whether pods would take a tree: by the rules that they take any artifact by (artifact/tree-policy.ts), and within limits of
// what it expands to.
import { setImmediate as turn } from 'node:timers/promises'
import { showPath, textOf } from '@aether/artifact/tree-name'
import type { TreeEntry } from '@aether/artifact/tree-object'
import { createTreePolicy } from '@aether/artifact/tree-policy'
import { diffTrees, expandTree, type TreeStep } from '@aether/artifact/tree-walk'
import { ControlError } from './errors.ts'
import { toTreeProblem } from './tree-fault.ts'
import type { HeldTree, TreeTotals } from './tree-memory.ts'

export interface TreeCheckLimits {
  readonly maxEntries: number
  readonly maxUnpackedBytes: number
}

/** As the agents' own, by default. */
const [maxDepth, maxPathBytes] = [64, 3_500]
/** A second or so for the links of one tree, whoever made it. */
const maxLinkSteps = 5_000_000
/** So many entries take a few milliseconds; then others have their turn. */
const turnEntries = 1_000
const endless = {
  maxEntries: Number.MAX_SAFE_INTEGER,
  maxDepth: Number.MAX_SAFE_INTEGER,
  maxPathBytes: Number.MAX_SAFE_INTEGER,
  maxBytes: Number.MAX_SAFE_INTEGER,
}

/** `base` was checked before: what it has too is not looked at again. Throws `bad_tree`. */
export async function checkTree(
  tree: HeldTree,
  base: HeldTree | undefined,
  { maxEntries, maxUnpackedBytes: maxBytes }: TreeCheckLimits,
): Promise<TreeTotals> {
  const walk = { maxEntries, maxDepth, maxPathBytes, maxBytes }
  const limits = { ...walk, refuseCollisions: false, maxLinkSteps }
  const to = sideOf(tree)
  let steps = 0
  const count = async () => {
    if (++steps % turnEntries === 0) await turn()
  }
  try {
    const totals = base?.totals && (await checkChanges(sideOf(base), base.totals))
    const sum = totals ?? (await checkWhole())
    if (sum.entries > maxEntries) throw over(`${sum.entries} entries, more than ${maxEntries} (AETHER_MAX_ENTRIES)`)
    if (sum.bytes > maxBytes) throw over(`${sum.bytes} bytes, more than ${maxBytes} (AETHER_MAX_UNPACKED_BYTES)`)
    return sum
  } catch (error) {
    throw toTreeProblem(error)
  }

  /** Undefined where a link changed: where it leads depends on everything. */
  async function checkChanges(from: Side, before: TreeTotals): Promise<TreeTotals | undefined> {
    const policy = createTreePolicy(limits)
    let { entries, bytes } = before
    const add = (entry: TreeEntry, by: 1 | -1) => {
      entries += by
      if (entry.kind === 'file') bytes += by * entry.size
    }
    for (const change of diffTrees(from, to, walk)) {
      await count()
      if (change.entry.kind === 'link' || (change.kind === 'replace' && change.from.kind === 'link')) return undefined
      if (change.kind === 'remove') {
        add(change.entry, -1)
        // A link that goes may have been what kept another one in.
        for (const below of change.entry.kind === 'folder'
          ? expandTree(change.entry.digest, from.store, endless)
          : []) {
          await count()
          if (below.entry.kind === 'link') return undefined
          add(below.entry, -1)
        }
        continue
      }
      if (change.kind === 'replace') add(change.from, -1)
      add(change.entry, 1)
      admit(policy, change)
    }
    return { entries, bytes }
  }

  async function checkWhole(): Promise<TreeTotals> {
    const policy = createTreePolicy(limits)
    let [entries, bytes] = [0, 0]
    for (const step of expandTree(to.root, to.store, walk)) {
      await count()
      entries++
      if (step.entry.kind === 'file') bytes += step.entry.size
      admit(policy, step)
    }
    if (entries === 0) throw new ControlError('bad_tree', 'there is nothing in the tree')
    policy.finish()
    return { entries, bytes }
  }
}

type Side = ReturnType<typeof sideOf>

export function sideOf({ digest, objects }: HeldTree) {
  return { root: digest, store: (each: string) => objects.get(each) }
}

function admit(policy: ReturnType<typeof createTreePolicy>, { path, entry }: TreeStep): void {
  if (entry.kind === 'folder') policy.admitFolder(textPath(path))
  else if (entry.kind === 'link') policy.admitSymlink(textPath(path), textPath(entry.to))
  else policy.admitFile(textPath(path))
}

/** As an archive's names: UTF-8, since two readers of other bytes would see two names. */
function textPath(path: string): string {
  const text = textOf(path)
  if (text !== undefined) return text
  throw new ControlError('bad_tree', `${showPath(path)} is a name, or a symlink's target, that is not UTF-8`)
}

function over(what: string): ControlError {
  return new ControlError('bad_tree', `the tree has ${what}`)
}
