// One edited line of an app with its packages, as a tree: packed, put on a plain file server, and fetched as what changed.
import { cp, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { annotations } from '@aether/contract/annotations'
import { isObject } from '@aether/contract/json'
import type { Marker } from '@aether/contract/markers'
import { formatPodinfo } from '@aether/contract/podinfo'
import type { DemoFolder } from './folder.ts'
import type { Load } from './load.ts'
import { faint, good, say } from './say.ts'
import { annotationsFile, type ControlService, type Pod, writeVersion } from './story.ts'

/** A folder behind HTTP, as a bucket is. */
export interface FileStore {
  readonly origin: string
  readonly folder: string
  close(): void
}

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

export async function openFileStore(folder: string): Promise<FileStore> {
  await mkdir(folder, { recursive: true })
  const server = createServer((request, response) => {
    const [path = ''] = (request.url ?? '').split('?')
    readFile(join(folder, path)).then(
      (bytes) => response.writeHead(200, { 'content-length': bytes.length }).end(bytes),
      () => response.writeHead(404).end('there is nothing here\n'),
    )
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the file server has no port')
  const close = () => {
    server.close()
    server.closeAllConnections()
  }
  return { origin: `http://127.0.0.1:${address.port}`, folder, close }
}

export async function editOneLine(
  folder: DemoFolder,
  { cli }: ControlService,
  pod: Pod,
  load: Load,
  store: FileStore,
): Promise<EditedLine> {
  const app = join(folder.root, 'larger')
  for (const name of packages) await cp(join(modules, name), join(app, 'node_modules', name), { recursive: true })

  /** Packs what is in the folder, and has the pod follow the annotations that a person would write. */
  async function release(version: string, ...from: readonly string[]): Promise<Travelled & { readonly files: number }> {
    await writeVersion({ app }, version)
    const packed = await cli.ask(['pack', app, '--tree', '--no-install', '--out', join(store.folder, version), ...from])
    const { digest, signature, entries } = isObject(packed) ? packed : {}
    if (typeof digest !== 'string' || typeof signature !== 'string') throw new Error('aether pack gave no tree')
    const marked = pod.fetcher.nextMarker((marker) => marker.kind === 'ok' || marker.kind === 'fail')
    const answer = load.firstAnswer(`hello from ${version}`)
    const file = annotationsFile(folder)
    await writeFile(
      `${file}.new`,
      formatPodinfo({
        [annotations.digest]: digest,
        [annotations.artifactUrl]: `${store.origin}/${version}/hello.tree`,
        [annotations.signature]: signature,
      }),
    )
    await rename(`${file}.new`, file)
    const marker = await marked
    if (marker.kind !== 'ok') throw new Error(`the tree was not taken: ${JSON.stringify(marker)}`)
    await answer
    const bytes = numberOf(marker, 'bytes')
    const ms = numberOf(marker, 'fetch_ms') + numberOf(marker, 'activate_ms')
    say(
      'fetched',
      `${good(`${bytes} bytes`)} ${faint(`for ${version}, from its ${marker.pairs['source'] ?? 'store'}`)}`,
    )
    return { bytes, ms, files: typeof entries === 'number' ? entries : 0 }
  }

  const first = await release('3.1.0')
  const edited = await release('3.1.1', '--from', join(store.folder, '3.1.0', 'hello.tree'))
  const archive = join(folder.root, 'larger.tar.gz')
  await cli.ask(['pack', app, '--no-install', '--out', archive])
  return { files: first.files, archiveBytes: (await stat(archive)).size, first, edited }
}

function numberOf(marker: Marker, name: string): number {
  const value = marker.kind === 'ok' ? Number(marker.pairs[name]) : Number.NaN
  return Number.isFinite(value) ? value : 0
}
