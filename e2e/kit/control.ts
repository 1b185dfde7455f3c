// The control service in the scenario's namespace, with a PostgreSQL, as a user takes it: k8s/rbac and k8s/control under a
// kustomization of their own. What is not of the namespace is owned by it, and goes with it. The artifacts are on an
// emptyDir, which outlives the container and not the pod, or on the claim of k8s/control (own-disk.ts).
import { randomBytes } from 'node:crypto'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Role, roles } from '@aether/contract/control-api'
import { execa } from 'execa'
import { claimName, openDisk } from './own-disk.ts'
import { forwardPort } from './port-forward.ts'
import { postgresName, postgresObjects } from './postgres-manifest.ts'
import type { Scenario } from './scenario.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const cliLimitMs = 240_000

export interface ControlOptions {
  /** Variables of control's container, beside those of the manifests. */
  readonly env?: Readonly<Record<string, string>>
  /** The artifacts outlive control's pod. */
  readonly isDurable?: boolean
}

export interface CliResult {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

export interface Control {
  /** On this machine; stays the same when control's pod is replaced, though connections break then. */
  readonly origin: string
  /** One of each role. */
  readonly tokens: Readonly<Record<Role, string>>
  /** Asks with the admin's token, unless the request has another. */
  ask(path: string, init?: RequestInit): Promise<Response>
  /** Runs `aether ARGS` as a process with nothing in its environment but what it is given here. */
  cli(args: readonly string[], env?: Readonly<Record<string, string>>, cwd?: string): Promise<CliResult>
  /** Ends the way to it; the rest goes with the namespace. */
  close(): Promise<void>
}

/** Resolves when control is ready. */
export async function startControl(scenario: Scenario, options: ControlOptions = {}): Promise<Control> {
  const { cluster, config, namespace } = scenario
  const own = ['--namespace', namespace]
  const password = randomBytes(16).toString('hex')
  const token = () => randomBytes(24).toString('hex')
  const tokens = { admin: token(), deployer: token(), uploader: token(), reader: token() }
  const items = [
    ...postgresObjects(config.postgresImage, password),
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'aether-control-env' },
      stringData: {
        DATABASE_URL: `postgres://aether:${password}@${postgresName}:5432/aether`,
        AETHER_API_TOKENS: roles.map((role) => `${tokens[role]}:${role}:e2e-${role}`).join(','),
      },
    },
  ]
  await cluster.kubectl(['apply', ...own, '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
  await rolledOut(scenario, postgresName)
  if (options.isDurable) await openDisk(scenario)
  await cluster.kubectl(['apply', '-k', await writeKustomization(scenario, options)])
  await rolledOut(scenario, 'aether-control')

  const forward = await forwardPort(namespace, 'service/aether-control', 80)
  const { origin } = forward
  return {
    origin,
    tokens,
    ask(path, init = {}) {
      const headers = new Headers(init.headers)
      if (!headers.has('authorization')) headers.set('authorization', `Bearer ${tokens.admin}`)
      return fetch(`${origin}${path}`, { ...init, headers })
    },
    cli: (args, env, cwd = scenario.folder) =>
      runCli(scenario, args, { AETHER_URL: origin, AETHER_TOKEN: tokens.admin, ...env }, cwd),
    close: forward.close,
  }
}

async function rolledOut({ cluster, namespace }: Scenario, name: string): Promise<void> {
  await cluster.kubectl(['rollout', 'status', '--namespace', namespace, `deployment/${name}`, '--timeout=55s'])
}

async function writeKustomization(
  scenario: Scenario,
  { env = {}, isDurable = false }: ControlOptions,
): Promise<string> {
  const { cluster, config, folder, namespace } = scenario
  const { metadata } = await cluster.core.readNamespace({ name: namespace })
  const owner = { apiVersion: 'v1', kind: 'Namespace', name: namespace, uid: metadata?.uid }
  // Reviews of tokens belong to no namespace: the rights to them get a name of ours, and go when the namespace goes.
  const ofCluster = [
    { op: 'replace', path: '/metadata/name', value: `${namespace}-token-review` },
    { op: 'add', path: '/metadata/ownerReferences', value: [owner] },
  ]
  const variables = {
    AETHER_AGENT_IMAGE: config.agentImage,
    AETHER_FETCH_IMAGE: config.fetchImage,
    AETHER_NODEJS_IMAGE: config.nodejsImage,
    ...env,
  }
  const container = {
    name: 'control',
    image: config.controlImage,
    env: Object.entries(variables).map(([name, value]) => ({ name, value })),
  }
  const onNode = { name: 'data', persistentVolumeClaim: null, emptyDir: {} }
  const claim = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: claimName } }
  const own = await mkdtemp(join(folder, 'kustomize-'))
  const kustomization = {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    namespace,
    resources: ['rbac', 'control'].map((name) => relative(own, join(root, 'k8s', name))),
    patches: [
      { target: { kind: 'ClusterRole' }, options: { allowNameChange: true }, patch: JSON.stringify(ofCluster) },
      { target: { kind: 'ClusterRoleBinding' }, options: { allowNameChange: true }, patch: JSON.stringify(ofCluster) },
      {
        target: { kind: 'Deployment', name: 'aether-control' },
        patch: JSON.stringify({
          apiVersion: 'apps/v1',
          kind: 'Deployment',
          metadata: { name: 'aether-control' },
          spec: { template: { spec: { containers: [container], ...(isDurable ? {} : { volumes: [onNode] }) } } },
        }),
      },
      ...(isDurable ? [] : [{ patch: JSON.stringify({ ...claim, $patch: 'delete' }) }]),
    ],
  }
  await writeFile(join(own, 'kustomization.yaml'), JSON.stringify(kustomization))
  return own
}

async function runCli(
  { folder, keys, namespace }: Scenario,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  cwd: string,
): Promise<CliResult> {
  const { PATH = '', KUBECONFIG = '' } = process.env
  const variables = {
    PATH,
    KUBECONFIG,
    // Neither the settings of this machine's user nor npm's cache.
    HOME: folder,
    AETHER_NAMESPACE: namespace,
    AETHER_SIGNING_KEY: keys.privatePem,
    ...env,
  }
  const pairs = Object.entries(variables).map(([name, value]) => `${name}=${value}`)
  // By env(1), because the test runner puts its loaders into every Node that it starts.
  const { exitCode, stdout, stderr } = await execa(
    'env',
    ['-i', ...pairs, process.execPath, join(root, 'cli/main.ts'), ...args],
    { cwd, reject: false, timeout: cliLimitMs },
  )
  return { exitCode: exitCode ?? -1, stdout, stderr }
}
