// What is wrong with a tree, as a reason of the contract.
import { TreeError, type TreeFault } from '@aether/artifact/tree-error'
import { type Detail, refusal } from '@aether/contract/reasons'

const extractDetails: Readonly<Record<TreeFault, Detail<'extract'>>> = {
  malformed: 'bad_tree',
  mismatch: 'bad_tree',
  missing: 'bad_tree',
  extra: 'bad_tree',
  limit: 'limit',
}

/** A TreeError as ReasonError `extract`; bytes that are not what a digest names, as `checksum`. Any other error as it is. */
export function toTreeReason(error: unknown): unknown {
  if (!(error instanceof TreeError)) return error
  const options = { cause: error }
  if (error.code === 'mismatch') return refusal('checksum', 'mismatch', error.message, options)
  return refusal('extract', extractDetails[error.code], error.message, options)
}

/** The tree itself breaks a rule, whoever gives it: its objects are proven. No other source makes it better. */
export class TreeRefused extends Error {
  override readonly name = 'TreeRefused'

  constructor(cause: unknown) {
    super('the tree breaks a rule', { cause: toTreeReason(cause) })
  }
}
