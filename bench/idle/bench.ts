// What a fetcher costs that has nothing to do: its start, and its memory before the first refresh and after three. Beside
// a Node that runs nothing; and a watch of its own beside the same by @kubernetes/client-node (docs/adr/0009).
import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createSigningPair, type SigningPair } from '@aether/artifact/sign'
import { formatRows, median } from '@aether/e2e/kit/report'
import { type BenchOptions, type BenchRow, lessIsBetter, round } from '../bench.ts'
import { agentFile, type Running, start } from '../processes.ts'
import { makeTiny } from '../release/artifacts.ts'
import { writeAnnotations } from '../release/settings.ts'
import { bundleOthers, type Mode, makeCredentials, startFetcher, type World } from './contestants.ts'
import { type Memory, readMemory } from './memory.ts'

const idleMs = 5000
const pairs = 9
const memoryRuns = 3
const modes: readonly Mode[] = ['file', 'watch', 'poll']
/** What an idle fetcher is to stay within; a start is this many times a bare Node's. */
const targets = { anon: 14, rss: 55, start: 1.8 }

export async function benchIdle({ say, isJson }: BenchOptions): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'aether-bench-'))
  const running: Running[] = []
  const keep = (one: Running) => {
    running.push(one)
    return one
  }
  try {
    const keys = createSigningPair()
    const served = join(folder, 'served')
    const credentials = join(folder, 'credentials')
    await mkdir(served)
    await makeCredentials(credentials)
    await writeFile(join(folder, 'key.pem'), keys.publicPem)
    const files = keep(start('bench/release/file-server.ts', [served], {}))
    const api = keep(start('bench/idle/api-server.ts', [credentials], {}))
    const place = { url: await files.line('http://'), keyFile: join(folder, 'key.pem') }
    const apiPort = (await api.line('port ')).slice('port '.length)
    const rows = await measureAll({ folder, place, credentials, apiPort }, served, keys, say)
    const print = isJson ? say : console.log
    print(`medians, ours from ${agentFile('fetcher')}`)
    for (const line of formatRows(rows.map(tableRow))) print(line)
    if (isJson) console.log(JSON.stringify({ name: 'idle', rows }))
  } finally {
    for (const one of running) await one.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

async function measureAll(world: World, served: string, keys: SigningPair, say: BenchOptions['say']) {
  const rows: BenchRow[] = []
  const startOther = await bundleOthers(world)
  const bareMemory = await idleMemory(() => startOther('bare'))
  for (const mode of modes) {
    say(`mode ${mode}`)
    rows.push(
      compare(
        mode,
        'start',
        'node',
        'ms',
        await startTimes(async () => (await startFetcher(mode, world)).running, startBare),
      ),
    )
    const memory = await idleMemory(async () => (await startFetcher(mode, world)).running)
    rows.push(...compareMemory(mode, 'node', memory, bareMemory))
  }
  say('three refreshes')
  const after = await idleMemory(() => refreshThrice(world, served, keys))
  rows.push(...compareMemory('file after 3 refreshes', 'node', after, bareMemory))
  say('a watch alone, by either client')
  const own = () => startOther('own watch')
  const other = () => startOther('client-node')
  const times = await startTimes(own, async () => timeUntil(other))
  rows.push(compare('watch alone', 'start', 'client-node', 'ms', times))
  rows.push(...compareMemory('watch alone', 'client-node', await idleMemory(own), await idleMemory(other)))
  return rows
}

/** In turns, so that whatever the machine does meets both. Milliseconds, medians. */
async function startTimes(ours: () => Promise<Running>, theirs: () => Promise<number>) {
  const own: number[] = []
  const peer: number[] = []
  for (let pair = 0; pair < pairs; pair++) {
    peer.push(await theirs())
    own.push(await timeUntil(ours))
  }
  return { ours: median(own), theirs: median(peer) }
}

async function timeUntil(begin: () => Promise<Running>): Promise<number> {
  const startedAt = performance.now()
  const running = await begin()
  const ms = performance.now() - startedAt
  running.child.kill('SIGKILL')
  await running.ended
  return ms
}

async function startBare(): Promise<number> {
  const env = { PATH: process.env.PATH, HOME: process.env.HOME }
  const startedAt = performance.now()
  spawnSync(process.execPath, ['-e', '0'], { env })
  return performance.now() - startedAt
}

async function idleMemory(begin: () => Promise<Running>): Promise<Memory> {
  const seen: Memory[] = []
  for (let run = 0; run < memoryRuns; run++) {
    const running = await begin()
    await sleep(idleMs)
    seen.push(readMemory(running.child.pid))
    running.child.kill('SIGKILL')
    await running.ended
  }
  return { anon: median(seen.map(({ anon }) => anon)), rss: median(seen.map(({ rss }) => rss)) }
}

async function refreshThrice(world: World, served: string, keys: SigningPair): Promise<Running> {
  const { running, home } = await startFetcher('file', world)
  for (const name of ['tiny-1', 'tiny-2', 'tiny-3']) {
    const from = running.lines.length
    await writeAnnotations(home, world.place.url, await makeTiny(name, served, keys))
    const said = await running.line(/^REFRESH_(?:OK|FAIL) /, from)
    if (!said.startsWith('REFRESH_OK')) throw new Error(`the fetcher did not bring ${name}: ${said}`)
  }
  return running
}

function compare(name: string, measure: string, peer: string, unit: string, found: { ours: number; theirs: number }) {
  const { ours, theirs } = found
  return lessIsBetter({ case: name, measure, peer, ours: round(ours, 1), theirs: round(theirs, 1), unit })
}

function compareMemory(name: string, peer: string, ours: Memory, theirs: Memory): readonly BenchRow[] {
  return [
    compare(name, 'anon', peer, 'MB', { ours: ours.anon, theirs: theirs.anon }),
    compare(name, 'rss', peer, 'MB', { ours: ours.rss, theirs: theirs.rss }),
  ]
}

function tableRow({ case: name, measure, peer, ours, theirs, unit }: BenchRow) {
  return { case: name, measure, ours, peer, theirs, unit, target: targetOf(name, measure) }
}

function targetOf(name: string, measure: string): string {
  if (!modes.some((mode) => mode === name)) return ''
  if (measure === 'start') return `<= ${targets.start}x`
  return `<= ${measure === 'anon' ? targets.anon : targets.rss}`
}
