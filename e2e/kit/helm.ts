// The charts of k8s/chart as `helm template` renders them, where helm is on PATH.
import { cp, mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa, execaSync } from 'execa'
import type { Scenario } from './scenario.ts'

const charts = fileURLToPath(new URL('../../k8s/chart', import.meta.url))

export function isHelmThere(): boolean {
  return execaSync('helm', ['version'], { reject: false }).exitCode === 0
}

/** `set` as `--set` takes it; its value is text. Answers the manifests. */
export async function renderChart(
  { folder, namespace }: Scenario,
  chart: 'control' | 'hello',
  set: Readonly<Record<string, string>> = {},
  flags: readonly string[] = [],
): Promise<string> {
  // A chart takes its library into its folder: into that of a copy. Links lead out of a chart; a copy has the files.
  const own = await mkdtemp(join(folder, 'charts-'))
  await cp(charts, own, { recursive: true, dereference: true })
  if (chart === 'hello') await execa('helm', ['dependency', 'update', '--skip-refresh', join(own, chart)])
  const settings = Object.entries(set).flatMap(([name, value]) => ['--set-string', `${name}=${value}`])
  const { stdout } = await execa('helm', ['template', chart, join(own, chart), '-n', namespace, ...settings, ...flags])
  return stdout
}
