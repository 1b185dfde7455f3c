// What a series of refreshes left behind: outcomes by digest, processes, releases on disk.

import { logLines, type Pod, readMarkers, runInside } from './pods.ts'
import { readProcesses } from './processes.ts'
import type { Row } from './report.ts'
import type { Scenario } from './scenario.ts'

export interface Outcomes {
  /** How often each digest (64 hex characters) was reported by REFRESH_OK. */
  readonly ok: ReadonlyMap<string, number>
  /** Left because a newer one came. */
  readonly overtaken: ReadonlySet<string>
  readonly fails: readonly string[]
}

export async function readOutcomes(scenario: Scenario, pod: Pod): Promise<Outcomes> {
  const ok = new Map<string, number>()
  const fails: string[] = []
  for (const marker of await readMarkers(scenario, pod.name)) {
    if (marker.kind === 'ok') ok.set(marker.digest, (ok.get(marker.digest) ?? 0) + 1)
    if (marker.kind === 'fail') fails.push(`${marker.reason} ${JSON.stringify(marker.pairs)}`)
  }
  const lines = await logLines(scenario, pod.name, 'fetcher')
  const left = lines.filter((line) => line.includes('this one is left'))
  return { ok, fails, overtaken: new Set(left.flatMap((line) => /sha256:([0-9a-f]{64})/.exec(line)?.[1] ?? [])) }
}

/** The memory of fetcher and supervisor, in one row. */
export async function memoryRow(scenario: Scenario, pod: Pod, when: string): Promise<Row> {
  const row: Record<string, string | number> = { when }
  for (const [container, word] of [
    ['fetcher', 'fetcher'],
    ['app', 'supervisor'],
  ] as const) {
    const found = (await readProcesses(scenario, pod.name, container)).find(
      ({ command }) => command.includes(word) && !command.includes('tini'),
    )
    row[`${word}_anon_mb`] = megabytes(found?.anonKb)
    row[`${word}_rss_mb`] = megabytes(found?.rssKb)
    row[`${word}_peak_mb`] = megabytes(found?.peakKb)
  }
  return row
}

/** The commands that run in both containers, with the release's own folder left out. */
export async function listCommands(scenario: Scenario, pod: Pod): Promise<readonly string[]> {
  const all = await Promise.all(['fetcher', 'app'].map((one) => readProcesses(scenario, pod.name, one)))
  return all
    .flat()
    .map(({ command }) => command.replaceAll(/sha256-[0-9a-f]{64}/g, 'RELEASE'))
    .toSorted((a, b) => a.localeCompare(b))
}

/** How many entries the fetcher's folders hold. */
export async function countOnDisk(scenario: Scenario, pod: Pod): Promise<Readonly<Record<string, number>>> {
  const script = `
const count = (folder) => fs.readdirSync('/var/lib/aether/' + folder).length
console.log(JSON.stringify({ releases: count('workspace/releases'), records: count('complete'), staging: count('staging') }))
`
  const counts: Record<string, number> = JSON.parse(await runInside(scenario, pod.name, 'fetcher', script))
  return counts
}

function megabytes(kilobytes = Number.NaN): string {
  return (kilobytes / 1024).toFixed(1)
}
