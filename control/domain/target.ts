// Targets between the table of artifacts and the annotations of the cluster.
import type { SelfTarget } from '@aether/contract/control-api'
import { type Digest, parseDigest } from '@aether/contract/digest'
import type { Artifact } from './model.ts'
import type { TargetAnnotations } from './ports.ts'

/**
 * `publicUrl` has no slash at its end. The URL is a stable one: what it leads to asks who wants to know. Of both signatures a
 * development environment gets its own, which is the newer one where there is one.
 */
export function selfTargetOf(artifact: Artifact, publicUrl: string, isDevelopment: boolean): SelfTarget {
  const { digest, developmentSignature, commit } = artifact
  const signature = (isDevelopment ? developmentSignature : null) ?? artifact.signature
  return { digest, artifactUrl: `${publicUrl}/artifacts/${digest}`, signature, commit }
}

export function isSameTarget(a: TargetAnnotations, b: TargetAnnotations): boolean {
  return (
    a.digest === b.digest && a.artifactUrl === b.artifactUrl && a.signature === b.signature && a.commit === b.commit
  )
}

/** The digest as somebody wrote it; undefined where it is none. */
export function readDigest(text: string | null): Digest | undefined {
  try {
    return text === null ? undefined : parseDigest(text, 'digest')
  } catch {
    return undefined
  }
}
