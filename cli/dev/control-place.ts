// `aether dev` by a control: it keeps the artifacts, moves the pods, and hears what became of it.
import type { BuiltTree } from '@aether/artifact/tree-build'
import { digestFromHex } from '@aether/contract/digest'
import { readCommit } from '../basics/commit.ts'
import type { Output } from '../basics/output.ts'
import type { Env } from '../basics/settings.ts'
import { shortDigest } from '../basics/table.ts'
import { applyDigest } from '../control/apply-digest.ts'
import type { Control } from '../control/control.ts'
import { sendTree } from '../control/send-tree.ts'
import { waitUntilServing } from '../control/wait-serving.ts'
import type { DevSigner } from './dev-key.ts'
import { showLogs } from './dev-logs.ts'
import { findMeanwhile, type LastApplied } from './dev-meanwhile.ts'
import type { DevPlace } from './dev-place.ts'
import type { DevTree } from './dev-tree.ts'

export interface ControlPlaceOptions {
  readonly control: Control
  readonly url: string
  readonly folder: string
  readonly app: string
  readonly namespace: string
  readonly spec: Readonly<Record<string, unknown>>
  /** Undefined: the releases are not signed. */
  readonly signer: Pick<DevSigner, 'sign'> | undefined
  readonly timeoutMs: number
  readonly env: Env
  readonly cwd: string
  readonly output: Output
  readonly signal: AbortSignal
}

export function createControlPlace(options: ControlPlaceOptions): DevPlace {
  const { control, url, folder, app, namespace, spec, signer, timeoutMs, env, cwd, output, signal } = options
  let last: LastApplied | undefined
  let taken: BuiltTree | undefined

  async function packTree(tree: DevTree) {
    const [next, commit] = await Promise.all([tree.build(), readCommit(folder, { env, signal })])
    const digest = digestFromHex(next.digest)
    return { tree: next, digest, commit, signature: signer?.sign(digest) ?? null }
  }

  return {
    name: `in ${namespace}, by control at ${url}`,
    async pack(tree) {
      const packed = await packTree(tree)
      let id = ''
      return {
        digest: packed.digest,
        async upload() {
          await sendTree(control, app, packed, { output, signal, from: taken })
          taken = packed.tree
        },
        async deploy() {
          const wanted = { app, namespace, digest: packed.digest, ...spec }
          const before = last
          const { deployment } = await applyDigest(control, wanted, signal, async (live) => {
            const meanwhile = before && (await findMeanwhile(control, before, live))
            if (meanwhile !== undefined) output.warn(meanwhile)
          })
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
