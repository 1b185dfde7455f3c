// A fetcher that lives for a whole case, in mode file: each refresh is from the annotations written to its OK marker.
import { randomInt } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdir, readdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { layoutOf, releaseName } from '@aether/contract/layout'
import { parseMarker } from '@aether/contract/markers'
import { agentFile, start } from '../processes.ts'
import type { Artifact } from './artifacts.ts'
import { agentSettings, type Place, writeAnnotations } from './settings.ts'

interface Refreshed {
  readonly seconds: number
  /** By the fetcher's own clock, from the event of the file. */
  readonly markerMs: number
  readonly tree: string
  /** Over the wire. */
  readonly bytes: number
  readonly source: string
}

export interface WarmFetcher {
  readonly healthUrl: string
  refresh(artifact: Pick<Artifact, 'name' | 'digest' | 'signature'>): Promise<Refreshed>
  /** Until the clone of its release stands ready (AETHER_STANDBY); the seconds of the processor that were spent since it served. */
  prepare(artifact: Pick<Artifact, 'digest'>): Promise<number>
  /** Until its release is off the disk, so that it is downloaded again. */
  forget(artifact: Pick<Artifact, 'digest'>): Promise<void>
  /** Megabytes, the most it held since `forgetPeak`, or ever. */
  peakMb(): number
  forgetPeak(): void
  stop(): Promise<void>
}

const pruneMs = 60_000
// A late event of an earlier change would bring the next one sooner.
const quietMs = 100

/** `others` are two artifacts by which the measured one is pushed out: a fetcher keeps two releases at least. */
export async function startWarmFetcher(
  place: Place,
  folder: string,
  others: readonly Artifact[],
): Promise<WarmFetcher> {
  const layout = layoutOf(join(folder, 'data'))
  await mkdir(layout.root, { recursive: true })
  const port = await freePort()
  const fetcher = start(agentFile('fetcher'), [], {
    ...agentSettings(place, folder),
    AETHER_FETCH_MODE: 'file',
    AETHER_MIN_REFRESH_INTERVAL_MS: '0',
    AETHER_KEEP_RELEASES: '2',
    AETHER_RUN_DIR: folder,
    AETHER_HEALTH_HOST: '127.0.0.1',
    AETHER_HEALTH_PORT: String(port),
  })

  async function refresh(artifact: Pick<Artifact, 'name' | 'digest' | 'signature'>): Promise<Refreshed> {
    const from = fetcher.lines.length
    const startedAt = performance.now()
    await writeAnnotations(folder, place.url, artifact)
    const line = await fetcher.line(/^REFRESH_(?:OK|FAIL) /, from)
    const seconds = (performance.now() - startedAt) / 1000
    const marker = parseMarker(line)
    if (marker?.kind !== 'ok' || marker.pairs.reused !== 'false')
      throw new Error(`the fetcher did not bring ${artifact.name}: ${line}`)
    const { bytes, source } = marker.pairs
    const tree = join(layout.releases, releaseName(artifact.digest))
    return { seconds, markerMs: marker.ms, tree, bytes: Number(bytes), source: String(source) }
  }
  return {
    healthUrl: `http://127.0.0.1:${port}/livez`,
    refresh,
    async prepare(artifact) {
      const before = processorSeconds(fetcher.child.pid)
      const deadline = performance.now() + pruneMs
      while (
        !existsSync(join(layout.standby, releaseName(artifact.digest))) ||
        (await readdir(layout.staging)).length > 0
      ) {
        if (performance.now() > deadline) throw new Error('the fetcher made no clone of its release')
        await sleep(5)
      }
      await sleep(quietMs)
      return processorSeconds(fetcher.child.pid) - before
    },
    async forget(artifact) {
      for (const other of others) await refresh(other)
      const deadline = performance.now() + pruneMs
      const isThere = async () =>
        (await readdir(layout.releases)).includes(releaseName(artifact.digest)) ||
        (await readdir(layout.staging)).length > 0
      while (await isThere()) {
        if (performance.now() > deadline) throw new Error(`the fetcher did not prune ${artifact.digest}`)
        await sleep(5)
      }
      await sleep(quietMs)
    },
    peakMb: fetcher.peakMb,
    // proc(5): the peak becomes what is held now.
    forgetPeak: () => writeFileSync(`/proc/${fetcher.child.pid}/clear_refs`, '5'),
    stop: fetcher.stop,
  }
}

/** A port that is free, below those that the kernel gives to clients (ip_local_port_range): no connection takes it meanwhile. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(14_000, 30_000)
    const server = createServer()
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false)).listen(port, () => resolve(true))
    })
    if (!isFree) continue
    await new Promise<void>((resolve) => server.close(() => resolve()))
    return port
  }
}

/** proc(5): user and system time, in ticks of 10 ms. */
function processorSeconds(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / 100
}
