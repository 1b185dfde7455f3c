// What the kernel says about a volume, as a reason of the table.
import { statfs } from 'node:fs/promises'
import { ReasonError, refusal } from '@aether/contract/reasons'

/** The error with its reason where it is about the volume; any other as it is. Both kinds of full are ENOSPC: statfs tells. */
export async function toDiskError(error: unknown, path: string): Promise<unknown> {
  if (error instanceof ReasonError || !(error instanceof Error) || !('code' in error) || typeof error.code !== 'string')
    return error
  const options = { cause: error }
  if (error.code === 'ENOSPC' || error.code === 'EDQUOT') {
    const noInodes = await statfs(path).then(
      ({ ffree, files }) => files > 0 && ffree === 0,
      () => false,
    )
    return noInodes
      ? refusal(
          'disk_full',
          'inodes',
          `no inode is left on the volume of ${path}: give it more, or keep fewer releases`,
          options,
        )
      : refusal(
          'disk_full',
          'bytes',
          `no room is left on the volume of ${path}: give it more, or keep fewer releases`,
          options,
        )
  }
  // Node's recursive mkdir says ENOENT where the volume is read-only.
  const noFolder = error.code === 'ENOENT' && 'syscall' in error && error.syscall === 'mkdir'
  if (error.code === 'EROFS' || error.code === 'EACCES' || error.code === 'EPERM' || noFolder)
    return refusal(
      'read_only',
      'volume',
      `${path} cannot be written (${error.code}): mount the volume read-write and owned by this user`,
      options,
    )
  return error
}
