// Brings an artifact to control where it is not there already.
import type { Control } from './control.ts'
import type { Output } from './output.ts'
import type { PackedApp } from './pack-app.ts'
import { createProgress } from './progress.ts'

export type Uploadable = Pick<PackedApp, 'digest' | 'file' | 'bytes' | 'signature' | 'commit'>

/** The bytes, or a signature that control does not have: by another key, the same bytes have another one. */
export async function isUploadNeeded(
  control: Control,
  app: string,
  { digest, signature }: Uploadable,
): Promise<boolean> {
  const there = await control.findArtifact(app, digest)
  return there === undefined || (signature !== null && there.signature !== signature)
}

/** Whether something had to be sent. */
export async function upload(output: Output, control: Control, app: string, packed: Uploadable): Promise<boolean> {
  const { digest, file, bytes, signature, commit } = packed
  if (!(await isUploadNeeded(control, app, packed))) return false
  const onProgress = createProgress(output, bytes)
  try {
    await control.upload({ app, digest, file, bytes, signature, commit, onProgress })
  } finally {
    output.transient('')
  }
  return true
}
