// A tree in staging, proven: each object and file that came had its digest, and what did not come is of a release that was.
import type { Digest } from '@aether/contract/digest'
import type { TreeSource } from './refreshed.ts'
import type { Ancestor } from './shares.ts'
import type { FindObject } from './tree-memory.ts'
import type { TreeTotals } from './tree-plan.ts'
import type { SignedTarget } from './verify.ts'

const stagedTree = Symbol('staged tree')

export interface StagedTree {
  readonly kind: 'tree'
  readonly folder: string
  readonly digest: Digest
  readonly totals: TreeTotals
  readonly source: TreeSource
  /** Bytes that came over the wire, those of sources that were given up too. */
  readonly wireBytes: number
  /** Files and links that were not brought. */
  readonly reusedFiles: number
  readonly reusedBytes: number
  readonly ancestors: readonly Ancestor[]
  readonly find: FindObject
  readonly [stagedTree]: true
}

/** To be called by the sources alone, at their end. */
export function provenTree(
  signed: SignedTarget,
  proven: Omit<StagedTree, 'kind' | 'digest' | typeof stagedTree>,
): StagedTree {
  return { kind: 'tree', digest: signed.target.digest, ...proven, [stagedTree]: true }
}
