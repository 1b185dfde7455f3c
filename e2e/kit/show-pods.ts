// What a person would look at first when a scenario failed.
import type { Test } from 'tap'
import type { Cluster } from './cluster.ts'

export async function showPods(t: Test, { tryKubectl }: Cluster, namespace: string): Promise<void> {
  const own = ['-n', namespace]
  const logs = ['logs', ...own, '-l', 'app=hello', '--all-containers', '--prefix', '--tail=60', '--ignore-errors']
  for (const args of [
    ['get', 'pods', ...own, '-o', 'wide'],
    ['get', 'events', ...own, '--sort-by=.lastTimestamp'],
    logs,
    ['logs', ...own, 'tools', '--tail=20'],
  ]) {
    t.comment(`kubectl ${args.join(' ')}`)
    for (const line of (await tryKubectl(args)).split('\n').slice(-200)) t.comment(`  ${line}`)
  }
}
