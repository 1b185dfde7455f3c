// A developer with `aether dev` on this machine: a folder with an app, a development key that the pods trust; and either a control,
// or rights on pods and nothing else (a service account with the Role of k8s/overlays/dev-pods, a kubeconfig of its own).
import { spawn } from 'node:child_process'
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createDevelopmentPair } from '@aether/artifact/sign'
import { type Digest, parseDigest } from '@aether/contract/digest'
import { isObject } from '@aether/contract/json'
import type { Test } from 'tap'
import { loadConfig } from './config.ts'
import { applyPatched } from './deploy.ts'
import { keepAsking } from './keep-asking.ts'
import { type Pod, readyPods } from './pods.ts'
import { median, reportRows } from './report.ts'
import type { Scenario } from './scenario.ts'
import { ask } from './tools/ask.ts'
import { until } from './until.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

export interface Developer {
  /** Of the app. */
  readonly app: string
  readonly env: Readonly<Record<string, string>>
  /** Of each `aether dev` of theirs. */
  readonly args: readonly string[]
  /** The public half of their key, as a file. */
  readonly publicKey: string
}

export interface DevRun {
  readonly pid: number
  readonly output: () => string
  readonly records: () => readonly Record<string, unknown>[]
  /** The next record that was not answered yet. */
  next(): Promise<Record<string, unknown>>
  readonly ended: Promise<number | null>
  kill(signal: NodeJS.Signals): void
}

/** The Deployment `hello` that waits for it, with the developer's key among those that its pods trust. */
export async function deployForDeveloper(scenario: Scenario, replicas = 1): Promise<void> {
  const { agentImage, fetchImage, nodejsImage } = scenario.config
  const signed = [{ name: 'AETHER_REQUIRE_SIGNATURE', value: 'true' }]
  await applyPatched(scenario, join(root, 'k8s/overlays/dev-pods'), {
    replicas,
    template: {
      spec: {
        initContainers: [
          { name: 'init-fetch', image: agentImage },
          { name: 'fetcher', image: fetchImage, env: signed },
        ],
        containers: [{ name: 'app', image: nodejsImage }],
      },
    },
  })
}

export async function createPodsDeveloper(scenario: Scenario, from: string): Promise<Developer> {
  const { cluster, namespace } = scenario
  const kubeconfig = await createKubeconfig(scenario, 'developer')
  const rolebinding = ['create', 'rolebinding', 'developer', '--role=aether-developer']
  await cluster.kubectl(['-n', namespace, ...rolebinding, `--serviceaccount=${namespace}:developer`])
  return createDeveloper(scenario, from, { env: { KUBECONFIG: kubeconfig }, args: ['--pods'] })
}

export async function createDeveloper(
  scenario: Scenario,
  from: string,
  { env, args }: Pick<Developer, 'env' | 'args'>,
): Promise<Developer> {
  const { cluster, folder, namespace } = scenario
  const [app, config, home, tmp] = ['dev-app', 'config', 'home', 'tmp'].map((name) => join(folder, name))
  if (app === undefined || config === undefined || home === undefined || tmp === undefined) throw new Error('no folder')
  for (const path of [join(config, 'aether'), home, tmp]) await mkdir(path, { recursive: true })
  await cp(from, app, { recursive: true, verbatimSymlinks: true })
  const pair = createDevelopmentPair()
  const [privateKey, publicKey] = [join(config, 'aether/dev-signing.pem'), join(config, 'aether/dev-signing.pub.pem')]
  await writeFile(privateKey, pair.privatePem, { mode: 0o600 })
  await writeFile(publicKey, pair.publicPem)
  const patch = { stringData: { 'developer.pem': pair.publicPem } }
  await cluster.kubectl(['patch', 'secret', '-n', namespace, 'aether-keys', '-p', JSON.stringify(patch)])
  const own = {
    PATH: process.env.PATH ?? '',
    HOME: home,
    TMPDIR: tmp,
    XDG_CONFIG_HOME: config,
    XDG_STATE_HOME: join(folder, 'state'),
    AETHER_NAMESPACE: namespace,
    npm_config_offline: 'true',
    npm_config_update_notifier: 'false',
  }
  return { app, env: { ...own, ...env }, args, publicKey }
}

/** Of a new service account, which may do nothing yet. Its context is called as the account. */
export async function createKubeconfig({ cluster, folder, namespace }: Scenario, account: string): Promise<string> {
  await cluster.kubectl(['create', 'serviceaccount', '-n', namespace, account])
  const token = (await cluster.kubectl(['create', 'token', '-n', namespace, account])).trim()
  const view: unknown = JSON.parse(
    await cluster.kubectl(['config', 'view', '--minify', '--flatten', '--raw', '--output=json']),
  )
  const clusters = isObject(view) && Array.isArray(view.clusters) ? view.clusters : []
  const [first] = clusters.filter(isObject)
  const file = join(folder, `kubeconfig-${account}`)
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'cluster', cluster: first?.cluster }],
    users: [{ name: account, user: { token } }],
    contexts: [{ name: account, context: { cluster: 'cluster', user: account } }],
    'current-context': account,
  }
  await writeFile(file, JSON.stringify(config), { mode: 0o600 })
  return file
}

export function startDev({ app, env, args: own }: Developer, args: readonly string[], json = true): DevRun {
  const form = json ? ['--output', 'json'] : []
  const all = [join(root, 'cli/main.ts'), 'dev', app, '--hot', ...own, ...form, ...args]
  const child = spawn(process.execPath, all, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  let seen = 0
  const records = () =>
    output
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line): unknown => JSON.parse(line))
      .filter(isObject)
  return {
    pid: child.pid ?? 0,
    output: () => output,
    records,
    ended,
    kill: (signal) => child.kill(signal),
    async next() {
      seen += 1
      return until(`line ${seen} of aether dev`, async () => records()[seen - 1]).catch((error: unknown) => {
        throw new Error(`it said: ${output}`, { cause: error })
      })
    },
  }
}

/** Saves one after the other under load, each one measured and none of it failing; answers their digests. */
export async function measureSaves(
  t: Test,
  scenario: Scenario,
  {
    by,
    dev,
    pod,
    save,
  }: {
    readonly by: string
    readonly dev: DevRun
    readonly pod: Pod
    readonly save: (answer: string) => Promise<void>
  },
): Promise<readonly Digest[]> {
  const { latencyRefreshes: saves } = loadConfig()
  const load = keepAsking([{ host: pod.ip, port: 8080, path: '/' }], 20)
  const times: number[] = []
  const digests: Digest[] = []
  for (let count = 1; count <= saves; count += 1) {
    await sleep(300)
    const began = performance.now()
    await save(`save ${count}`)
    await untilAnswer(pod, `save ${count}`)
    times.push(performance.now() - began)
    const record = await dev.next()
    t.match(record, { outcome: 'serving', changed: ['server.js'] })
    digests.push(parseDigest(String(record.digest), 'digest'))
  }
  const [loaded] = await load.end()
  t.same(loaded?.failed, [], 'no request failed')
  t.same(await readyPods(scenario, 1), [pod], 'the same pod, and no container restarted')
  reportRows(t, scenario, `${by}: save -> first new answer from the pod's own address`, [
    {
      app: 'hello',
      saves,
      p50_ms: Math.round(median(times)),
      max_ms: Math.round(Math.max(...times)),
      requests: loaded?.requests ?? 0,
      failed: loaded?.failed.length ?? 0,
    },
  ])
  return digests
}

/** By the pod's own address. */
export function untilAnswer({ ip: host }: Pod, wanted: string): Promise<true> {
  const deadline = performance.now() + 60_000
  const look = async (): Promise<true> => {
    const { body } = await ask({ host, port: 8080, path: '/' })
    if (body.trim() === wanted) return true
    if (performance.now() > deadline) throw new Error(`${wanted} never came; it answers ${body}`)
    await sleep(5)
    return look()
  }
  return look()
}

/** What came before may be said to wait for its stream. */
export async function nextServing(dev: DevRun): Promise<Record<string, unknown>> {
  const record = await dev.next()
  return record.outcome === 'serving' ? record : nextServing(dev)
}
