// For tests of the controller: an app with all that the controller works on, and what its pods and people do to it.
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSigningPair, signDigest } from '@aether/artifact/sign'
import { annotations } from '@aether/contract/annotations'
import { type Digest, digestFromHex } from '@aether/contract/digest'
import { formatPodinfo, parsePodinfo } from '@aether/contract/podinfo'
import { createLog } from '@aether/runtime/log'
import { createRegistry } from '@aether/runtime/metrics'
import { eventually } from '@aether/runtime/test-process'
import type { Test } from 'tap'
import { createAppMetrics } from './app-metrics.ts'
import { createFolderBlobs } from './blobs/folder.ts'
import { createFolderTrees } from './blobs/tree-folder.ts'
import { createLocalCluster } from './cluster/local.ts'
import { localFilesOf } from './cluster/local-files.ts'
import { createDomain } from './domain/create-services.ts'
import { localPodOf } from './domain/local-pod.ts'
import type { DeploymentSpec } from './domain/model.ts'
import type { Cluster, Store } from './domain/ports.ts'

export const publicUrl = 'http://control.test'
let count = 0

export interface WorldOptions {
  readonly syncTimeoutMs?: number
  /** What stands between the controller and the cluster. */
  readonly around?: (cluster: Cluster) => Cluster
}

/** An app of its own, with a key; each upload has other bytes. */
export async function createWorld(
  t: Test,
  store: Store,
  { syncTimeoutMs = 60_000, around = (cluster) => cluster }: WorldOptions = {},
) {
  const folder = mkdtempSync(join(tmpdir(), 'aether-controller-'))
  const app = `app-${++count}`
  const ref = { namespace: 'default', app }
  const files = localFilesOf(join(folder, 'targets'), ref)
  const pod = localPodOf(ref)
  const agent = { kind: 'agent', ...ref, podUid: pod.uid, podName: pod.name } as const
  const keys = createSigningPair()
  const log = createLog('control', 'silent')

  function start() {
    const { services, controller } = createDomain({
      store,
      blobs: createFolderBlobs(join(folder, 'artifacts')),
      cluster: around(
        createLocalCluster({
          folder: join(folder, 'targets'),
          setAgentToken: store.setAgentToken,
          intervalMs: 200,
        }),
      ),
      publicUrl,
      syncTimeoutMs,
      treeBlobs: createFolderTrees(join(folder, 'trees'), 1024 ** 2),
      maxArtifactBytes: 1024,
      maxUnpackedBytes: 1024 ** 2,
      maxEntries: 1000,
      requireSignature: true,
      developmentEnvironments: new Set(['development']),
      log,
      metrics: createAppMetrics(createRegistry(), store, log),
    })
    controller.start()
    return { services, controller }
  }
  let running = start()
  t.teardown(async () => {
    await running.controller.stop()
    rmSync(folder, { recursive: true })
  })
  const { services } = running
  await services.apps.create(app)
  await services.apps.addKey(app, keys.publicPem, null, false)

  const bytesOf = new Map<Digest, Buffer>()
  function pack(): Digest {
    const bytes = randomBytes(20)
    const digest = digestFromHex(createHash('sha256').update(bytes).digest('hex'))
    bytesOf.set(digest, bytes)
    return digest
  }
  async function put(digest: Digest): Promise<Digest> {
    const signature = signDigest(digest, keys.privateKey)
    const bytes = bytesOf.get(digest) ?? Buffer.of()
    const body = (async function* () {
      yield bytes
    })()
    await running.services.artifacts.upload({
      app,
      digest,
      signature,
      commit: 'c1',
      by: 'ada',
      length: bytes.length,
      body,
    })
    return digest
  }
  const read = () => parsePodinfo(readFileSync(files.annotations, 'utf8'))
  async function row() {
    const found = await store.findLive('default', app)
    if (found === undefined) throw new Error(`there is no deployment of ${app}`)
    return found
  }
  return {
    ref,
    files,
    pack,
    put,
    row,
    services: () => running.services,
    stop: () => running.controller.stop(),
    restart() {
      running = start()
    },
    release: async () => put(pack()),
    create: (digest: Digest, spec: Partial<DeploymentSpec> = {}) =>
      running.services.deployments.create({ ...specOf(app), ...spec }, digest, 'ada'),
    /** As kubectl annotate does: this digest, and nothing else changed. */
    annotate: (digest: string) =>
      writeFileSync(files.annotations, formatPodinfo({ ...read(), [annotations.digest]: digest })),
    read,
    /** The annotations say the whole target. */
    hasTarget(digest: Digest): boolean {
      const all = read()
      return (
        all[annotations.digest] === digest &&
        all[annotations.artifactUrl] === `${publicUrl}/artifacts/${digest}` &&
        all[annotations.signature] === signDigest(digest, keys.privateKey) &&
        all[annotations.buildCommit] === 'c1'
      )
    },
    /** As an agent that starts. */
    askTarget: () => running.services.agents.targetOf(agent),
    /** As the app's agents do. */
    report(digest: Digest, serving: Digest | null = digest) {
      const isOk = serving === digest
      return running.services.agents.report(agent, {
        digest,
        outcome: isOk ? 'ok' : 'fail',
        serving,
        reason: isOk ? null : 'unhealthy',
        detail: null,
        message: isOk ? null : 'the app ended with exit code 7',
        ms: isOk ? 5 : null,
      })
    },
    status: (status: string, reason: string | null = null) =>
      eventually(`${status} ${reason ?? ''}`, async () => {
        const { currentStatus, failureReason } = await row()
        return currentStatus === status && failureReason === reason
      }),
    /** Who did what, in order, without changes of status. */
    async history() {
      const events = await store.listEvents((await row()).id, 50)
      return events
        .filter(({ action }) => action !== 'status')
        .map(({ action, actor, fromDigest, toDigest }) => [action, actor, fromDigest, toDigest])
    },
    lastEvent: async () => (await store.listEvents((await row()).id, 50)).at(-1),
  }
}

const specOf = (app: string): DeploymentSpec => ({
  app,
  namespace: 'default',
  environment: 'production',
  replicas: 1,
  devHot: true,
  port: 8080,
  readyPath: null,
  env: {},
})
