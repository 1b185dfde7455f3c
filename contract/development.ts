// A signature of a development key covers another message than a release's does and has another form, so that it holds only
// where a pod takes development signatures, whatever keys the pod trusts (docs/adr/0020-development-key.md).
import { type Digest, hexOf } from './digest.ts'

/** What the annotation of such a signature begins with. */
export const developmentPrefix = 'dev:'

/** What is signed: no text of 64 hex characters can be this. */
export function developmentMessage(digest: Digest): Buffer {
  return Buffer.from(`aether development ${hexOf(digest)}`, 'ascii')
}
