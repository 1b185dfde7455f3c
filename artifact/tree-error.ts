// Why a tree, or a pack of one, is not taken; who reads it for a pod turns the code into a reason of the contract.

/**
 * `malformed`: not the format, or not its one canonical form; `mismatch`: not the bytes that its digest names; `missing`:
 * something that is needed is not there; `extra`: something that nobody asked for; `limit`: more than may be.
 */
export type TreeFault = 'malformed' | 'mismatch' | 'missing' | 'extra' | 'limit'

export class TreeError extends Error {
  override readonly name = 'TreeError'
  readonly code: TreeFault

  constructor(code: TreeFault, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
