// `aether dev` by a control: it keeps the artifacts, moves the pods, and hears what became of it.
import type { KeyObject } from 'node:crypto'
import { join } from 'node:path'
import { packFolder } from '@aether/artifact/pack'
import { signDigest } from '@aether/artifact/sign'
import { applyDigest } from './apply-digest.ts'
import { readCommit } from './commit.ts'
import type { Control } from './control.ts'
import { showLogs } from './dev-logs.ts'
import { findMeanwhile, type LastApplied } from './dev-meanwhile.ts'
import type { DevPlace } from './dev-place.ts'
import type { DevTree } from './dev-tree.ts'
import type { Output } from './output.ts'
import { toPackFailure } from './pack-app.ts'
import type { Env } from './settings.ts'
import { shortDigest } from './table.ts'
import { type Uploadable, upload } from './upload-artifact.ts'
import { waitUntilServing } from './wait-serving.ts'

export interface ControlPlaceOptions {
  readonly control: Control
  readonly url: string
  readonly folder: string
  readonly work: string
  readonly app: string
  readonly namespace: string
  readonly spec: Readonly<Record<string, unknown>>
  readonly key: KeyObject | undefined
  readonly timeoutMs: number
  readonly env: Env
  readonly cwd: string
  readonly output: Output
  readonly signal: AbortSignal
}

export function createControlPlace(options: ControlPlaceOptions): DevPlace {
  const { control, url, folder, work, app, namespace, spec, key, timeoutMs, env, cwd, output, signal } = options
  let last: LastApplied | undefined

  async function packArtifact(tree: DevTree): Promise<Uploadable> {
    const [packed, commit] = await Promise.all([
      packFolder(tree.path, join(work, 'app.tar.gz')).catch(toPackFailure),
      readCommit(folder, { env, signal }),
    ])
    return { ...packed, commit, signature: key === undefined ? null : signDigest(packed.digest, key) }
  }

  return {
    name: `in ${namespace}, by control at ${url}`,
    async pack(tree) {
      const packed = await packArtifact(tree)
      let id = ''
      return {
        digest: packed.digest,
        upload: async () => void (await upload(output, control, app, packed)),
        async deploy() {
          const meanwhile = last && (await findMeanwhile(control, last))
          if (meanwhile !== undefined) output.warn(meanwhile)
          const { deployment } = await applyDigest(control, { app, namespace, digest: packed.digest, ...spec }, signal)
          id = deployment.id
          last = { id, digest: packed.digest }
        },
        waitUntilServing: (until) =>
          waitUntilServing(control, { id, app, digest: packed.digest, timeoutMs, output, signal: until }),
      }
    },
    async serving() {
      if (last === undefined) return []
      const view = await control.viewDeployment(last.id).catch(() => undefined)
      signal.throwIfAborted()
      const digests = view?.value.pods.map((pod) => pod.serving) ?? []
      return digests.filter((one) => one !== null)
    },
    showLogs: (to, until) => showLogs({ app, namespace, env, cwd, signal: until }, to),
    farewell: (served) =>
      served === undefined
        ? undefined
        : `${app} in ${namespace} goes on serving ${shortDigest(served)}; aether stop ${app} ends it`,
    close: () => Promise.resolve(),
  }
}
