// A developer who has rights on pods and nothing else, with `aether dev --pods` on this machine: a service account with the Role of
// k8s/overlays/dev-pods, a kubeconfig of its own, a folder with an app.
import { spawn } from 'node:child_process'
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createDevelopmentPair } from '@aether/artifact/sign'
import { isObject } from '@aether/contract/json'
import { applyPatched } from './deploy.ts'
import type { Scenario } from './scenario.ts'
import { until } from './until.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

export interface Developer {
  /** Of the app. */
  readonly app: string
  readonly env: Readonly<Record<string, string>>
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

export async function createDeveloper(scenario: Scenario, from: string): Promise<Developer> {
  const { cluster, folder, namespace } = scenario
  const [app, config, home, tmp] = ['dev-app', 'config', 'home', 'tmp'].map((name) => join(folder, name))
  if (app === undefined || config === undefined || home === undefined || tmp === undefined) throw new Error('no folder')
  for (const path of [join(config, 'aether'), home, tmp]) await mkdir(path, { recursive: true })
  await cp(from, app, { recursive: true, verbatimSymlinks: true })
  const pair = createDevelopmentPair()
  await writeFile(join(config, 'aether/dev-signing.pem'), pair.privatePem, { mode: 0o600 })
  const patch = { stringData: { 'developer.pem': pair.publicPem } }
  await cluster.kubectl(['patch', 'secret', '-n', namespace, 'aether-keys', '-p', JSON.stringify(patch)])
  const kubeconfig = await createKubeconfig(scenario, 'developer')
  const rolebinding = ['create', 'rolebinding', 'developer', '--role=aether-developer']
  await cluster.kubectl(['-n', namespace, ...rolebinding, `--serviceaccount=${namespace}:developer`])
  const env = {
    PATH: process.env.PATH ?? '',
    HOME: home,
    TMPDIR: tmp,
    XDG_CONFIG_HOME: config,
    XDG_STATE_HOME: join(folder, 'state'),
    KUBECONFIG: kubeconfig,
    AETHER_NAMESPACE: namespace,
    npm_config_offline: 'true',
    npm_config_update_notifier: 'false',
  }
  return { app, env }
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

export function startDev({ app, env }: Developer, args: readonly string[], json = true): DevRun {
  const form = json ? ['--output', 'json'] : []
  const all = [join(root, 'cli/main.ts'), 'dev', app, '--hot', '--pods', ...form, ...args]
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
