// Fetch, sha256 and extraction of one artifact: ours, warm and fresh, and what people use today, in turns.
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createSigningPair, type SigningPair } from '@aether/artifact/sign'
import { hexOf } from '@aether/contract/digest'
import { median } from '@aether/e2e/kit/report'
import type { Say } from '@aether/e2e/kit/scenario'
import type { BenchOptions } from '../bench.ts'
import { agentFile, start } from '../processes.ts'
import { type Artifact, makeArtifact, makeTiny } from './artifacts.ts'
import { type Case, chooseCases } from './cases.ts'
import { type Contestant, createInitFetch, listPeers, npmTar } from './contestants.ts'
import { keepAsking } from './keep-asking.ts'
import { createRunFresh, type Ran, type RunFresh } from './run-fresh.ts'
import type { Place } from './settings.ts'
import { benchRows, formatTable, type Runs } from './summary.ts'
import { checkTree } from './tree.ts'
import { freePort, startWarmFetcher, type WarmFetcher } from './warm-fetcher.ts'
import { makeWorkFolder } from './work-folder.ts'

/** Rounds in which event loops are asked; apart, because asking takes time too. */
const delayRounds = 2

interface World {
  readonly folder: string
  readonly served: string
  readonly keys: SigningPair
  readonly place: Place
  readonly tiny: readonly Artifact[]
  readonly runFresh: RunFresh
  readonly fresh: readonly Contestant[]
  readonly runs: number
  readonly say: Say
}

export async function benchRelease({ say, isJson, release }: BenchOptions): Promise<void> {
  const cases = chooseCases(release.cases, release.isCurve)
  // The artifact, the tree it is packed from or a result, and busybox's copy of the artifact.
  const needed = 3 * Math.max(...cases.map((one) => one.megabytes)) + 200
  const { path: folder, description } = makeWorkFolder(release.folder, needed)
  const served = join(folder, 'served')
  await mkdir(served)
  const keys = createSigningPair()
  const keyFile = join(folder, 'key.pem')
  await writeFile(keyFile, keys.publicPem)
  const server = start('bench/release/file-server.ts', [served], {})
  try {
    const place = { url: await server.line('http://'), keyFile }
    const runFresh = createRunFresh(join(folder, 'time.txt'))
    const fresh = [createInitFetch(place, runFresh), ...listPeers(place, runFresh, say)]
    const tiny = [await makeTiny('tiny-1', served, keys), await makeTiny('tiny-2', served, keys)]
    const world = { folder, served, keys, place, tiny, runFresh, fresh, runs: release.runs, say }
    const all: Runs[] = []
    for (const one of cases) all.push(...(await measureCase(one, world)))
    const print = isJson ? say : console.log
    print(`on ${description}, ${release.runs} runs each, ours from ${agentFile('fetcher')}`)
    for (const line of formatTable(all)) print(line)
    if (isJson) console.log(JSON.stringify({ name: 'release', on: description, rows: benchRows(all) }))
  } finally {
    await server.stop()
  }
}

async function measureCase(one: Case, world: World): Promise<readonly Runs[]> {
  const { folder, served, keys, say } = world
  const artifact = await makeArtifact(one, served, keys)
  const { files, bytes } = artifact.tree
  say(`${one.name}: ${files} files of ${megabytes(bytes)} MB, packed ${megabytes(artifact.bytes)} MB`)
  const home = join(folder, 'warm')
  await mkdir(home)
  const fetcher = await startWarmFetcher(world.place, home, world.tiny)
  try {
    await takeWarm(fetcher, artifact) // what it loads with its first refresh, and what V8 compiles
    const { warm, fresh } = await takeTurns(one, artifact, fetcher, world)
    const delay = await measureDelays(artifact, fetcher, world)
    const figures = (contestant: string, runs: readonly Ran[], delayMs?: number) => ({
      case: one.name,
      files,
      contestant,
      seconds: runs.map(({ seconds }) => seconds),
      rssMb: Math.max(...runs.map(({ rssMb }) => rssMb)),
      delayMs,
      markerMs: undefined,
    })
    const seconds = warm.map((run) => run.seconds)
    const markerMs = median(warm.map((run) => run.markerMs))
    return [
      { case: one.name, files, contestant: 'warm', seconds, rssMb: fetcher.peakMb(), delayMs: delay.warm, markerMs },
      ...[...fresh].map(([name, runs]) => figures(name, runs, name === 'npm-tar' ? delay.npmTar : undefined)),
    ]
  } finally {
    await fetcher.stop()
    await rm(home, { recursive: true })
    await rm(artifact.file)
  }
}

/** One run of each in turn, so that whatever the machine does meets all of them. */
async function takeTurns(
  { name }: Case,
  artifact: Artifact,
  fetcher: WarmFetcher,
  { fresh, runs, folder, say }: World,
) {
  const warm: Awaited<ReturnType<typeof takeWarm>>[] = []
  const found = new Map<string, Ran[]>(fresh.map((contestant) => [contestant.name, []]))
  for (let round = 1; round <= runs; round++) {
    const run = await takeWarm(fetcher, artifact)
    warm.push(run)
    const said = [`warm ${run.seconds.toFixed(3)}`]
    for (const contestant of fresh) {
      const ran = await inFolder(join(folder, 'fresh'), async (empty) => {
        const { tree, ...figures } = await contestant.run(artifact, empty)
        checkTree(contestant.name, tree, artifact.tree)
        return figures
      })
      found.get(contestant.name)?.push(ran)
      said.push(`${contestant.name} ${ran.seconds.toFixed(3)}`)
    }
    say(`${name}, round ${round} of ${runs}, s: ${said.join(', ')}`)
  }
  return { warm, fresh: found }
}

async function takeWarm(fetcher: WarmFetcher, artifact: Artifact) {
  const refreshed = await fetcher.refresh(artifact)
  checkTree('the fetcher', refreshed.tree, artifact.tree)
  await fetcher.forget(artifact)
  return refreshed
}

/** Milliseconds that the event loops of the fetcher and of npm tar were blocked for, the longest of all rounds. */
async function measureDelays(artifact: Artifact, fetcher: WarmFetcher, { folder, place, runFresh }: World) {
  let warm = 0
  let npm = 0
  for (let round = 0; round < delayRounds; round++) {
    const stop = await keepAsking(fetcher.healthUrl)
    await fetcher.refresh(artifact)
    warm = Math.max(warm, await stop())
    await fetcher.forget(artifact)
    await inFolder(join(folder, 'fresh'), async (empty) => {
      const port = await freePort()
      const url = `${place.url}/${artifact.name}`
      const running = runFresh([...npmTar, url, hexOf(artifact.digest), empty, String(port)])
      const [stopPeer] = await Promise.all([keepAsking(`http://127.0.0.1:${port}/`), running])
      npm = Math.max(npm, await stopPeer())
    })
  }
  return { warm, npmTar: npm }
}

async function inFolder<T>(path: string, body: (path: string) => Promise<T>): Promise<T> {
  await mkdir(path)
  try {
    return await body(path)
  } finally {
    await rm(path, { recursive: true })
  }
}

function megabytes(bytes: number): string {
  return (bytes / 1_000_000).toFixed(1)
}
