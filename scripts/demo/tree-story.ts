// One edited line of an app with its packages: sent to control, and fetched from it, as what changed.
import { cp, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isObject } from '@aether/contract/json'
import type { Marker } from '@aether/contract/markers'
import type { DemoFolder } from './folder.ts'
import type { Load } from './load.ts'
import { faint, good, say } from './say.ts'
import { type ControlService, type Pod, writeVersion } from './story.ts'

export interface EditedLine {
  readonly files: number
  readonly archiveBytes: number
  readonly first: Travelled
  readonly edited: Travelled
}

interface Travelled {
  readonly bytes: number
  readonly ms: number
}

/** What an app brings along; only its size matters here. */
const packages = ['undici', 'fastify', 'ajv', 'pino']
const modules = fileURLToPath(new URL('../../node_modules', import.meta.url))

export async function editOneLine(
  folder: DemoFolder,
  { cli }: ControlService,
  pod: Pod,
  load: Load,
): Promise<EditedLine> {
  const app = join(folder.root, 'larger')
  for (const name of packages) await cp(join(modules, name), join(app, 'node_modules', name), { recursive: true })

  async function release(version: string): Promise<Travelled> {
    await writeVersion({ app }, version)
    const marked = pod.fetcher.nextMarker((marker) => marker.kind === 'ok' || marker.kind === 'fail')
    const answer = load.firstAnswer(`hello from ${version}`)
    await cli.type(['deploy', 'larger', '--no-install', '--dev-hot'])
    const marker = await marked
    if (marker.kind !== 'ok') throw new Error(`the tree was not taken: ${JSON.stringify(marker)}`)
    await answer
    const bytes = numberOf(marker, 'bytes')
    const ms = numberOf(marker, 'fetch_ms') + numberOf(marker, 'activate_ms')
    say('fetched', `${good(`${bytes} bytes`)} ${faint(`for ${version}, source=${marker.pairs['source'] ?? 'none'}`)}`)
    return { bytes, ms }
  }

  const first = await release('3.1.0')
  const edited = await release('3.1.1')
  const archive = join(folder.root, 'larger.tar.gz')
  const packed = await cli.ask(['pack', app, '--no-install', '--out', archive])
  const files = isObject(packed) ? Number(packed.entries) : 0
  return { files, archiveBytes: (await stat(archive)).size, first, edited }
}

function numberOf(marker: Marker, name: string): number {
  const value = marker.kind === 'ok' ? Number(marker.pairs[name]) : Number.NaN
  return Number.isFinite(value) ? value : 0
}
