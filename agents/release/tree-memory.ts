// Where a process keeps trees between refreshes (held-trees.ts); apart, since an agent that has none loads no more than this.
import type { ObjectStore } from '@aether/artifact/tree-folder'
import type { Digest } from '@aether/contract/digest'
import type { VolumeLayout } from '@aether/contract/layout'

/** A tree whose objects are all here. */
export interface HeldTree {
  readonly digest: Digest
  /** 64 hex characters. */
  readonly root: string
  /** Exactly those of this tree: by that it is known what a delta may bring. */
  readonly objects: ReadonlyMap<string, Buffer>
}

/** Bytes of a folder object by its digest, which they have. */
export type FindObject = ObjectStore

export interface TreeMemory {
  readonly trees: Map<Digest, HeldTree>
  /** Releases whose tree has no file yet; `FindObject` has all its objects, and maybe more. */
  readonly unsaved: Map<Digest, FindObject>
}

const memoryOf = new WeakMap<VolumeLayout, TreeMemory>()

export function treeMemory(layout: VolumeLayout): TreeMemory {
  const found = memoryOf.get(layout) ?? { trees: new Map(), unsaved: new Map() }
  memoryOf.set(layout, found)
  return found
}

/** To be called once a release is complete. */
export function willHold(layout: VolumeLayout, digest: Digest, find: FindObject): void {
  treeMemory(layout).unsaved.set(digest, find)
}
