// What an agent of this bench is told, and the annotations of its pod.
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { annotations } from '@aether/contract/annotations'
import { formatPodinfo } from '@aether/contract/podinfo'
import { agentEnvironment } from '@aether/images/bundles'
import type { Artifact } from './artifacts.ts'

export interface Place {
  /** Of the artifact server. */
  readonly url: string
  /** PEM of the public key. */
  readonly keyFile: string
}

/** As in the image, for an agent whose data and annotations are below `folder`. */
export function agentSettings({ url, keyFile }: Place, folder: string): Readonly<Record<string, string>> {
  return {
    ...agentEnvironment,
    AETHER_APP: 'bench',
    AETHER_ANNOTATIONS_FILE: join(folder, 'annotations'),
    AETHER_DATA_DIR: join(folder, 'data'),
    AETHER_PUBKEY: keyFile,
    // Loopback is refused where it is not named.
    AETHER_ARTIFACT_ORIGINS: url,
  }
}

/** `artifact` lies on the server at `url`. */
export async function writeAnnotations(
  folder: string,
  url: string,
  artifact: Pick<Artifact, 'name' | 'digest' | 'signature'>,
): Promise<void> {
  const file = join(folder, 'annotations')
  const text = formatPodinfo({
    [annotations.artifactUrl]: `${url}/${artifact.name}`,
    [annotations.digest]: artifact.digest,
    [annotations.signature]: artifact.signature,
  })
  await writeFile(`${file}.new`, text)
  await rename(`${file}.new`, file)
}
