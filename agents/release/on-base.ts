// A tree made of the release that serves: a clone of it, in which what differs is put right. What does not come is linked from
// the old release, whose files are true (docs/adr/0014-trees.md).
import { TreeError } from '@aether/artifact/tree-error'
import { diskPath } from '@aether/artifact/tree-name'
import { hexOf } from '@aether/contract/digest'
import { releasePath } from './activate.ts'
import { type Assembly, beginAssembly } from './assembly.ts'
import type { TreeSource } from './refreshed.ts'
import { removeTree } from './remove-tree.ts'
import { ancestorsOf } from './shares.ts'
import { returnClone, takeClone } from './standby.ts'
import { type Base, type TreeContext, wireBytes } from './tree-context.ts'
import { TreeRefused } from './tree-fault.ts'
import type { FindObject } from './tree-memory.ts'
import { entriesOf, type Plan, planChanges, type Side } from './tree-plan.ts'
import { provenTree, type StagedTree } from './tree-staged.ts'

/**
 * `find` has the objects that are new; `bring` puts the files that are new into the assembly, which is begun when all objects
 * are known: nothing is changed on disk before. Throws what it throws, TreeError, ReasonError; then staging is as it was.
 */
export async function buildOnBase(
  source: TreeSource,
  base: Base,
  context: TreeContext,
  find: FindObject,
  bring: (assemble: () => Assembly) => Promise<void>,
): Promise<StagedTree> {
  const { presumed, layout, limits, room, downloads } = context
  const signed = presumed.confirm()
  const { tree } = base
  const findAny: FindObject = (digest) => find(digest) ?? tree.objects.get(digest)
  const folder = await takeClone(layout, tree, downloads.signal)
  const started: Assembly[] = []

  function assemble(): Assembly {
    const [known] = started
    if (known !== undefined) return known
    const [from, to] = [tree.root, hexOf(signed.target.digest)].map((root) => ({ root, store: findAny }))
    if (from === undefined || to === undefined) throw new Error('two sides')
    const made = beginAssembly(folder, layout.staging, plan(from, to), room)
    started.push(made)
    return made
  }

  function plan(from: Side, to: Side): Plan {
    try {
      return planChanges(from, base.totals, to, limits)
    } catch (error) {
      throw new TreeRefused(error)
    }
  }

  try {
    await bring(assemble)
    const made = assemble()
    linkMoved(made, base, releasePath(layout, tree.digest))
    for (const away of made.away) await removeTree(away)
    const { totals } = made
    const { files, bytes } = made.written()
    return provenTree(signed, {
      folder,
      totals,
      source,
      wireBytes: wireBytes(context),
      reusedFiles: totals.files - files,
      reusedBytes: totals.bytes - bytes,
      ancestors: ancestorsOf(base.share, bytes),
      find: findAny,
    })
  } catch (error) {
    const [assembly] = started
    if (assembly === undefined) returnClone(layout, tree, folder)
    else await discard(folder, assembly)
    throw error
  }
}

async function discard(folder: string, assembly: Assembly): Promise<void> {
  assembly.abandon()
  for (const away of assembly.away) await removeTree(away)
  await removeTree(folder)
}

/** What did not come is somewhere else in the old tree, or the pack is not whole. */
function linkMoved(assembly: Assembly, { tree }: Base, release: string): void {
  if (assembly.missing().size > 0)
    for (const { path, entry } of entriesOf({ root: tree.root, store: (digest) => tree.objects.get(digest) })) {
      if (entry.kind !== 'file' || !assembly.missing().has(entry.digest)) continue
      assembly.link(entry.digest, `${release}/${String(diskPath(path))}`, entry.executable)
      if (assembly.missing().size === 0) return
    }
  for (const digest of assembly.missing())
    throw new TreeError('missing', `the file ${digest} is neither in the delta pack nor in the release before`)
}
