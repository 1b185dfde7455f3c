// What a person would look at first when a scenario failed.
import type { Say, Scenario } from './scenario.ts'

export async function showPods(say: Say, { cluster, namespace }: Scenario): Promise<void> {
  const own = ['-n', namespace]
  const logs = ['logs', ...own, '-l', 'app=hello', '--all-containers', '--prefix', '--tail=60', '--ignore-errors']
  for (const args of [
    ['get', 'pods', ...own, '-o', 'wide'],
    ['get', 'events', ...own, '--sort-by=.lastTimestamp'],
    logs,
    ['logs', ...own, 'tools', '--tail=20'],
    ['logs', ...own, '-l', 'app in (aether-control, aether-postgres)', '--prefix', '--tail=60', '--ignore-errors'],
  ]) {
    say(`kubectl ${args.join(' ')}`)
    for (const line of (await cluster.tryKubectl(args)).split('\n').slice(-200)) say(`  ${line}`)
  }
}
