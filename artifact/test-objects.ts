// For tests of trees: entries and folders made by hand, and the fault that an act ends with.
import { walkLimits } from './test-trees.ts'
import { digestOfFile } from './tree-digest.ts'
import { TreeError, type TreeFault } from './tree-error.ts'
import { type ObjectStore } from './tree-folder.ts'
import { encodeFolder, type TreeEntry } from './tree-object.ts'
import { expandTree } from './tree-walk.ts'

export const faultOf = (act: () => unknown): TreeFault | 'none' => {
  try {
    act()
    return 'none'
  } catch (error) {
    if (error instanceof TreeError) return error.code
    throw error
  }
}
export const file = (name: string, content = name): TreeEntry => ({
  kind: 'file',
  name,
  executable: false,
  size: Buffer.byteLength(content),
  digest: digestOfFile(Buffer.from(content)),
})
export const folder = (name: string, digest: string): TreeEntry => ({ kind: 'folder', name, digest })

export function keep(...folders: readonly ReturnType<typeof encodeFolder>[]) {
  const objects = new Map(folders.flatMap((one) => one.objects.map(({ digest, bytes }) => [digest, bytes] as const)))
  return { objects, store: (digest: string) => objects.get(digest) }
}
export const expandAll = (root: string, store: ObjectStore, limits = walkLimits) =>
  [...expandTree(root, store, limits)].length
