// For tests: a namespace of a real cluster, with control's own rights of k8s/control/rbac in it and no others.
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { testFolder } from '@aether/runtime/test-process'
import { KubeConfig } from '@kubernetes/client-node'
import type { Test } from 'tap'
import { type ApiServer, createApiServer } from './api-server.ts'
import { textAt } from './json-path.ts'
import { loadEndpoint } from './kube-config.ts'

export interface TestCluster {
  readonly namespace: string
  /** A kubeconfig of the service account `aether-control`. */
  readonly kubeconfig: string
  /** With the rights of whoever runs the tests. */
  readonly api: ApiServer
  kubectl(...args: readonly string[]): Promise<string>
  apply(object: object): Promise<void>
}

const run = promisify(execFile)
const rbac = fileURLToPath(new URL('../../k8s/control/rbac', import.meta.url))
const followRole = fileURLToPath(new URL('../../k8s/rbac/role.yaml', import.meta.url))

/** Why there is none to be used; undefined where there is one. */
export function whyNoCluster(): string | undefined {
  const { KUBECONFIG, AETHER_TEST_CLUSTER } = process.env
  return KUBECONFIG && AETHER_TEST_CLUSTER === '1'
    ? undefined
    : 'needs a real cluster: set KUBECONFIG and AETHER_TEST_CLUSTER=1'
}

/** Taken away at the end of the test. */
export async function createTestCluster(t: Test): Promise<TestCluster> {
  const admin = process.env.KUBECONFIG ?? ''
  const namespace = `aether-test-control-${randomBytes(3).toString('hex')}`
  const suffix = namespace.slice('aether-test'.length)
  const folder = testFolder(t)
  const endpoint = loadEndpoint(admin)
  const api = createApiServer(endpoint)
  const kubectl = async (...args: readonly string[]) => (await run('kubectl', [...args], { timeout: 60_000 })).stdout
  let files = 0
  async function apply(object: object): Promise<void> {
    const path = join(folder, `object-${++files}.json`)
    writeFileSync(path, JSON.stringify(object))
    await kubectl('apply', '-n', namespace, '-f', path)
  }

  t.teardown(async () => {
    const ofCluster = ['clusterrole', 'clusterrolebinding']
    for (const kind of ofCluster)
      await kubectl('delete', kind, `aether-control-token-review${suffix}`, '--ignore-not-found')
    await kubectl('delete', 'namespace', namespace, '--wait=false', '--ignore-not-found')
    await endpoint.close()
  })
  await kubectl('create', 'namespace', namespace)
  await kubectl('label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=restricted')
  await kubectl('apply', '-n', namespace, '-f', followRole)
  await kubectl(
    'create',
    'secret',
    'generic',
    'aether-keys',
    '-n',
    namespace,
    `--from-literal=team.hex=${'ab'.repeat(32)}`,
  )
  const own = join(folder, 'rbac')
  mkdirSync(own)
  writeFileSync(
    join(own, 'kustomization.yaml'),
    JSON.stringify({
      apiVersion: 'kustomize.config.k8s.io/v1beta1',
      kind: 'Kustomization',
      namespace,
      nameSuffix: suffix,
      resources: [relative(own, rbac)],
    }),
  )
  await kubectl('apply', '-k', own)
  const token = await kubectl('create', 'token', `aether-control${suffix}`, '-n', namespace)
  return { namespace, api, kubectl, apply, kubeconfig: writeKubeconfig(folder, admin, token.trim()) }
}

function writeKubeconfig(folder: string, admin: string, token: string): string {
  const config = new KubeConfig()
  config.loadFromFile(admin)
  const cluster = config.getCurrentCluster()
  if (cluster === null) throw new Error(`${admin} names no cluster`)
  config.loadFromClusterAndUser(cluster, { name: 'aether-control', token })
  const path = join(folder, 'kubeconfig')
  writeFileSync(path, config.exportConfig(), { mode: 0o600 })
  return path
}

/** A token as the pod's projected volume holds it. */
export async function createPodToken(
  { api, namespace }: TestCluster,
  pod: { readonly name: string; readonly uid: string; readonly account: string },
  audience: string,
): Promise<string> {
  const answer = await api.send({
    method: 'POST',
    path: `/api/v1/namespaces/${namespace}/serviceaccounts/${pod.account}/token`,
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        audiences: [audience],
        expirationSeconds: 600,
        boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: pod.name, uid: pod.uid },
      },
    },
  })
  return textAt(answer, 'status', 'token') ?? ''
}
