// The kinds of the Prometheus operator, for a cluster without it, until the test ends.
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import type { Cluster } from './cluster.ts'

const folder = fileURLToPath(new URL('operator-crds', import.meta.url))
const kinds = ['podmonitors', 'servicemonitors', 'prometheusrules'].map((name) => `crd/${name}.monitoring.coreos.com`)

/** Kinds that are there, an operator's own, are left as they are. */
export async function giveOperatorKinds(t: Test, cluster: Cluster): Promise<void> {
  const there = await cluster.kubectl(['get', ...kinds, '--ignore-not-found', '-o', 'name'])
  if (there !== '') return t.comment(`the cluster has its own ${there.split('\n').join(', ')}`)
  t.teardown(() => cluster.kubectl(['delete', ...kinds, '--ignore-not-found']))
  // As clients send it, which the API server takes whole however long it is.
  await cluster.kubectl(['apply', '--server-side', '-f', folder])
  await cluster.kubectl(['wait', ...kinds, '--for=condition=Established', '--timeout=30s'])
}
