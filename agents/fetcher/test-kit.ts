// For tests: a fetcher over a volume, an artifact server, and annotations written as the kubelet writes them.
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { type Activation, parseActivation } from '@aether/contract/activation'
import { annotations } from '@aether/contract/annotations'
import { type Digest, hexOf } from '@aether/contract/digest'
import { layoutOf } from '@aether/contract/layout'
import { type Marker, parseMarker } from '@aether/contract/markers'
import { formatPodinfo } from '@aether/contract/podinfo'
import { formatSupervisorState, type SupervisorState } from '@aether/contract/supervisor-state'
import { readCurrent } from '@aether/release/activate'
import { createArtifactServer, createSigner, digestOf } from '@aether/release/test-kit'
import { entry } from '@aether/release/test-tar'
import { eventually, freePort, startProcess, type TestProcess, testFolder } from '@aether/runtime/test-process'
import type { Test } from 'tap'

const main = fileURLToPath(new URL('main.ts', import.meta.url))
const endMark = Buffer.alloc(1024)

function pathOf(digest: Digest): string {
  return `/${hexOf(digest).slice(0, 8)}.tar.gz`
}

export interface Made {
  readonly digest: Digest
  readonly annotations: Readonly<Record<string, string>>
}

/** `root` is a folder with the folders data, run and podinfo. */
export async function createWorld(
  t: Test,
  env: Readonly<Record<string, string>> = {},
  root = testFolder(t, { data: {}, run: {}, podinfo: {} }),
) {
  const layout = layoutOf(join(root, 'data'))
  const server = await createArtifactServer(t)
  const signer = createSigner()
  writeFileSync(join(root, 'key.pem'), signer.publicPem)
  const healthPort = await freePort()
  let swaps = 0

  return {
    root,
    layout,
    server,
    signer,
    /** An artifact of one file, published and signed; `changes` are put over its annotations. */
    make(text: string, changes: Readonly<Record<string, string>> = {}): Made {
      const bytes = gzipSync(Buffer.concat([entry({ name: 'server.js' }, text), endMark]))
      const digest = digestOf(bytes)
      const path = pathOf(digest)
      server.routes.set(path, bytes)
      const signature = signer.sign(digest)
      const written = {
        [annotations.digest]: digest,
        [annotations.artifactUrl]: server.url(path),
        [annotations.signature]: signature,
      }
      return { digest, annotations: { ...written, ...changes } }
    },
    /** From now on the artifact begins to come and never ends; resolves when it is asked for. */
    hang(made: Made): Promise<void> {
      const path = pathOf(made.digest)
      server.routes.set(path, (_request, response) => {
        response.writeHead(200, { 'content-length': 1000 }).write('x')
      })
      return eventually('the download to begin', () => server.asked.includes(path))
    },
    /** Swaps the annotations file through `..data`, as the kubelet does. */
    annotate(all: Readonly<Record<string, string>>): void {
      const podinfo = join(root, 'podinfo')
      const dated = `..${++swaps}`
      mkdirSync(join(podinfo, dated))
      writeFileSync(
        join(podinfo, dated, 'annotations'),
        formatPodinfo({ 'kubernetes.io/config.source': 'api', ...all }),
      )
      symlinkSync(dated, join(podinfo, '..data_tmp'))
      renameSync(join(podinfo, '..data_tmp'), join(podinfo, '..data'))
      if (swaps === 1) symlinkSync('..data/annotations', join(podinfo, 'annotations'))
      else rmSync(join(podinfo, `..${swaps - 1}`), { recursive: true })
    },
    start(more: Readonly<Record<string, string>> = {}): Fetcher {
      return followMarkers(
        startProcess(t, main, {
          AETHER_APP: 'shop',
          AETHER_FETCH_MODE: 'file',
          AETHER_ANNOTATIONS_FILE: join(root, 'podinfo', 'annotations'),
          AETHER_ARTIFACT_ADDRESSES: 'any',
          AETHER_DATA_DIR: layout.root,
          AETHER_RUN_DIR: join(root, 'run'),
          AETHER_PUBKEY: join(root, 'key.pem'),
          AETHER_MIN_REFRESH_INTERVAL_MS: '0',
          AETHER_HEALTH_HOST: '127.0.0.1',
          AETHER_HEALTH_PORT: String(healthPort),
          ...env,
          ...more,
        }),
      )
    },
    current: () => readCurrent(layout),
    activation: (): Activation => parseActivation(readFileSync(join(layout.workspace, 'activation.json'), 'utf8')),
    /** What a supervisor would say. */
    say(verdict: Partial<SupervisorState>): void {
      const path = join(root, 'run', 'supervisor.json')
      const state: SupervisorState = {
        activation: 0,
        digest: null,
        instance: 'test',
        state: 'serving',
        outcome: 'ok',
        reason: null,
        detail: null,
        message: null,
        output: null,
        lastGood: null,
        refused: [],
        inUse: [],
        swap: null,
        since: new Date().toISOString(),
        ...verdict,
      }
      writeFileSync(`${path}.new`, formatSupervisorState(state))
      renameSync(`${path}.new`, path)
    },
    healthPort,
    metrics: async () => (await fetch(`http://127.0.0.1:${healthPort}/metrics`)).text(),
    livez: async () => (await fetch(`http://127.0.0.1:${healthPort}/livez`)).status,
    asked: (made: Made) => server.asked.filter((path) => path === pathOf(made.digest)).length,
  }
}

export interface Fetcher extends TestProcess {
  /** All OK and FAIL markers so far. */
  markers(): readonly Exclude<Marker, { kind: 'state' }>[]
  /** Waits for OK or FAIL marker number `count` (from 1) and answers it. */
  marker(count: number): Promise<Exclude<Marker, { kind: 'state' }>>
}

function followMarkers(process: TestProcess): Fetcher {
  const markers = () =>
    process.lines.flatMap((line) => {
      const marker = parseMarker(line)
      return marker === undefined || marker.kind === 'state' ? [] : [marker]
    })
  return {
    ...process,
    markers,
    async marker(count) {
      await eventually(`marker ${count}`, () => markers().length >= count).catch((error: unknown) => {
        throw new Error(`${error instanceof Error ? error.message : ''}:\n${process.lines.join('\n')}`)
      })
      const found = markers()[count - 1]
      if (found === undefined) throw new Error('no marker')
      return found
    },
  }
}
