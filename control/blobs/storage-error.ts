// What the kernel says about the folder of artifacts, with what to do about it.
import { ControlError } from '../domain/errors.ts'

/** ControlError `storage_unavailable` for an error of the file system; any other as it is. */
export function toStorageError(error: unknown, root: string): unknown {
  const code = codeOf(error)
  if (code === undefined) return error
  return new ControlError('storage_unavailable', `the artifacts in ${root}: ${remedyOf(code)} (${code})`, {
    cause: error,
  })
}

/** The kernel's code, as in ENOSPC; undefined where the error is none of its. */
export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined
  return 'syscall' in error && /^E[A-Z0-9]+$/.test(error.code) ? error.code : undefined
}

function remedyOf(code: string): string {
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return 'no room is left: give the volume more, or let old artifacts go (AETHER_KEEP_ARTIFACTS)'
  if (code === 'EROFS') return 'the volume is read-only: mount it read-write'
  if (code === 'EACCES' || code === 'EPERM') return 'this user may not write there: give it the folder'
  if (code === 'EMFILE' || code === 'ENFILE') return 'too many files are open: raise the limit'
  return 'the folder cannot be used: see that the volume is mounted and well'
}
