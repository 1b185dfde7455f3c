// One scenario: a namespace of its own with keys, a tools pod and a folder, all taken away at the end.
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSigningPair, type SigningPair } from '@aether/artifact/sign'
import { type Cluster, openCluster } from './cluster.ts'
import { type E2eConfig, loadConfig } from './config.ts'
import { createNamespace } from './namespace.ts'
import { showPods } from './show-pods.ts'
import { startTools, type Tools } from './tools-pod.ts'

export interface Scenario {
  readonly cluster: Cluster
  readonly config: E2eConfig
  readonly namespace: string
  /** For temporary files. */
  readonly folder: string
  readonly keys: SigningPair
  readonly tools: Tools
}

/** Tells a person one line. */
export type Say = (line: string) => void

export interface OpenScenario {
  readonly scenario: Scenario
  /** Takes everything away; again is no harm. */
  close(): Promise<void>
}

/** Opens a scenario, hands it to `body` and closes it; where `body` throws, `say` is told how the pods were. */
export async function withScenario<T>(name: string, say: Say, body: (scenario: Scenario) => Promise<T>): Promise<T> {
  const { scenario, close } = await openScenario(name)
  try {
    return await body(scenario)
  } catch (error) {
    await showPods(say, scenario)
    throw error
  } finally {
    await close()
  }
}

export async function openScenario(name: string): Promise<OpenScenario> {
  const config = loadConfig()
  const cluster = openCluster()
  const undo: (() => void | Promise<void>)[] = []
  const close = async () => {
    for (const step of undo.splice(0).toReversed()) await step()
  }
  try {
    const { name: namespace, remove } = await createNamespace(cluster, name)
    undo.push(remove)
    const keys = createSigningPair()
    await cluster.core.createNamespacedSecret({
      namespace,
      body: { metadata: { name: 'aether-keys' }, stringData: { 'e2e.pem': keys.publicPem } },
    })
    const tools = await startTools(cluster, namespace, config.nodejsImage)
    undo.push(tools.close)
    // kustomize compares real paths.
    const folder = await realpath(await mkdtemp(join(tmpdir(), 'aether-e2e-')))
    undo.push(() => rm(folder, { recursive: true, force: true }))
    return { scenario: { cluster, config, namespace, folder, keys, tools }, close }
  } catch (error) {
    await close()
    throw error
  }
}
