// k8s/ as a user would take it: a kustomization of their own on top of base or an overlay.
import { mkdtemp, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PatchStrategy, setHeaderOptions } from '@kubernetes/client-node'
import type { Scenario } from './scenario.ts'

const manifests = fileURLToPath(new URL('../../k8s', import.meta.url))

/** `poll` is the base with another mode of the fetcher, `events` watch with the right to write events. */
export type Mode = 'watch' | 'poll' | 'file' | 'events'

const folders = { watch: 'base', poll: 'base', file: 'overlays/no-token', events: 'overlays/events' } as const

export interface DeployOptions {
  readonly mode: Mode
  readonly replicas: number
  /** Of the pod template. */
  readonly annotations: Readonly<Record<string, string>>
  /** Variables of the app's container. */
  readonly env?: Readonly<Record<string, string>>
  /** Memory of the app's container, as request and limit, such as `64Mi`; without it the manifest's own. */
  readonly appMemory?: string
  /** Variables of the fetcher's container. */
  readonly fetcherEnv?: Readonly<Record<string, string>>
}

export async function deployHello(scenario: Scenario, options: DeployOptions): Promise<void> {
  const { agentImage, fetchImage, nodejsImage } = scenario.config
  const source = join(manifests, folders[options.mode])
  const fetcherEnv = options.mode === 'poll' ? { AETHER_FETCH_MODE: 'poll', ...options.fetcherEnv } : options.fetcherEnv
  await applyPatched(scenario, source, {
    replicas: options.replicas,
    template: {
      metadata: { annotations: options.annotations },
      spec: {
        // Both and in order: kustomize puts what a patch names in front.
        initContainers: [
          { name: 'init-fetch', image: agentImage },
          { name: 'fetcher', image: fetchImage, env: variables(fetcherEnv) },
        ],
        containers: [
          {
            name: 'app',
            image: nodejsImage,
            env: variables(options.env),
            ...(options.appMemory !== undefined && {
              resources: { requests: { memory: options.appMemory }, limits: { memory: options.appMemory } },
            }),
          },
        ],
      },
    },
  })
}

/** Applies the kustomization in the folder `source`, with `spec` merged into its Deployment `hello`. */
export async function applyPatched(
  { cluster, folder, namespace }: Scenario,
  source: string,
  spec: object,
): Promise<void> {
  const own = await mkdtemp(join(folder, 'kustomize-'))
  const kustomization = {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    namespace,
    resources: [relative(own, source)],
    patches: [{ path: 'patch.json' }],
  }
  const patch = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'hello' }, spec }
  await writeFile(join(own, 'kustomization.yaml'), JSON.stringify(kustomization))
  await writeFile(join(own, 'patch.json'), JSON.stringify(patch))
  await cluster.kubectl(['apply', '-k', own])
}

/** The command that a person types. */
export async function annotatePods(
  { cluster, namespace }: Scenario,
  annotations: Readonly<Record<string, string>>,
): Promise<void> {
  const pairs = Object.entries(annotations).map(([name, value]) => `${name}=${value}`)
  await cluster.kubectl(['annotate', 'pod', '-n', namespace, '-l', 'app=hello', ...pairs, '--overwrite'])
}

/** The same for one pod, in a few milliseconds. */
export async function annotatePod(
  { cluster, namespace }: Scenario,
  name: string,
  annotations: Readonly<Record<string, string>>,
): Promise<void> {
  await cluster.core.patchNamespacedPod(
    { name, namespace, body: { metadata: { annotations } } },
    setHeaderOptions('Content-Type', PatchStrategy.MergePatch),
  )
}

function variables(env: Readonly<Record<string, string>> = {}): readonly object[] {
  return Object.entries(env).map(([name, value]) => ({ name, value }))
}
