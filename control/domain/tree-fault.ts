// What is wrong with a tree, or a pack of objects, in the words of control's table.
import { TreeError, type TreeFault } from '@aether/artifact/tree-error'
import { ReasonError } from '@aether/contract/reasons'
import { ControlError, type ErrorCode } from './errors.ts'

const codes: Readonly<Record<TreeFault, ErrorCode>> = {
  malformed: 'bad_tree',
  mismatch: 'wrong_digest',
  missing: 'incomplete',
  extra: 'bad_tree',
  limit: 'bad_tree',
}

/** ControlError for what trees and their policy refuse, and for what is not compressed as zstd; any other as it is. */
export function toTreeProblem(error: unknown): unknown {
  if (error instanceof TreeError) return new ControlError(codes[error.code], error.message, { cause: error })
  if (error instanceof ReasonError && error.reason === 'extract')
    return new ControlError('bad_tree', error.message, { cause: error })
  if (error instanceof Error && 'code' in error && /^(?:ZSTD_|Z_BUF)/.test(String(error.code)))
    return new ControlError('bad_tree', 'the pack is not compressed as zstd, or not to its end', { cause: error })
  return error
}
