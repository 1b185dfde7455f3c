// Where a store serves what belongs to a tree: beside its root, as suffixes of the root's path (docs/artifact-format.md).

export const fullSuffix = '.full'
export const indexSuffix = '.index'

/** `fromDigest` as 64 hex characters. */
export const deltaSuffix = (fromDigest: string): string => `.from-${fromDigest}`
