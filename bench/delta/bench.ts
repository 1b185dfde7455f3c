// One edit of an app that runs: as a tree, of which what changed comes, and as what people move for it today, in turns.
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { packFolder } from '@aether/artifact/pack'
import { createSigningPair, type SigningPair, signDigest } from '@aether/artifact/sign'
import { formatRows, median } from '@aether/e2e/kit/report'
import type { Say } from '@aether/e2e/kit/scenario'
import type { BenchOptions } from '../bench.ts'
import { agentFile, start } from '../processes.ts'
import { type Artifact, makeTiny, plantApp } from '../release/artifacts.ts'
import { chooseCases } from '../release/cases.ts'
import { type Contestant, listPeers } from '../release/contestants.ts'
import { createRunFresh, type RunFresh } from '../release/run-fresh.ts'
import type { Place } from '../release/settings.ts'
import { checkTree, measureTree } from '../release/tree.ts'
import { startWarmFetcher, type WarmFetcher } from '../release/warm-fetcher.ts'
import { makeWorkFolder } from '../release/work-folder.ts'
import { createCLimit } from './c-limit.ts'
import { createGit, type GitPeer } from './git.ts'
import { createRsync, type RsyncPeer } from './rsync.ts'
import { deltaRows, type Figures, fullFrom, tableOf } from './summary.ts'
import { createVersions, type Version, type Versions } from './versions.ts'

interface World {
  readonly folder: string
  readonly served: string
  readonly keys: SigningPair
  readonly place: Place
  readonly tiny: readonly Artifact[]
  readonly peers: readonly Contestant[]
  readonly runFresh: RunFresh
  readonly runs: number
  readonly say: Say
}

/** What a case works with. */
interface Stage extends World {
  readonly letter: string
  readonly app: string
  readonly archive: Artifact
  readonly versions: Versions
  readonly fetcher: WarmFetcher
  readonly git: GitPeer | undefined
  readonly rsync: RsyncPeer | undefined
}

const shares = { 'one file': 0, '1 percent': 0.01, '10 percent': 0.1, '100 percent': 1 }

export async function benchDelta({ say, isJson, release }: BenchOptions): Promise<void> {
  const cases = chooseCases(release.cases ?? ['b', 'c'], false)
  // The app, three releases, the archive and busybox's copy, git's objects, rsync's two trees, packs.
  const needed = 9 * Math.max(...cases.map((one) => one.megabytes)) + 500
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
    const tiny = [await makeTiny('tiny-1', served, keys), await makeTiny('tiny-2', served, keys)]
    const peers = listPeers(place, runFresh, say).filter(({ name }) => name !== 'npm-tar')
    const world = { folder, served, keys, place, tiny, peers, runFresh, runs: release.runs, say }
    const all: Figures[] = []
    for (const one of cases) {
      const app = join(folder, `${one.name}-app`)
      await mkdir(app)
      await plantApp(one, app)
      all.push(...(await measureApp(one.name, app, world)))
    }
    const print = isJson ? say : console.log
    print(`on ${description}, ${release.runs} runs each, ours from ${agentFile('fetcher')}`)
    for (const line of formatRows(tableOf(all))) print(line)
    for (const one of cases) print(fullFrom(one.name, shares, all))
    if (isJson) console.log(JSON.stringify({ name: 'delta', on: description, rows: deltaRows(all) }))
  } finally {
    await server.stop()
  }
}

async function measureApp(letter: string, app: string, world: World): Promise<readonly Figures[]> {
  const { folder, served, keys, say } = world
  const tree = measureTree(app)
  const file = join(served, `${letter}.tar.gz`)
  const { digest, bytes } = await packFolder(app, file)
  const archive = {
    name: `${letter}.tar.gz`,
    file,
    bytes,
    digest,
    signature: signDigest(digest, keys.privateKey),
    tree,
  }
  say(`${letter}: ${tree.files} files of ${(tree.bytes / 1e6).toFixed(1)} MB, packed ${(bytes / 1e6).toFixed(1)} MB`)
  const home = join(folder, 'warm')
  await mkdir(home)
  const fetcher = await startWarmFetcher(world.place, home, world.tiny)
  const git = createGit(app, join(folder, 'git'), world.runFresh)
  const rsync = createRsync(app, join(folder, 'rsync'), world.runFresh, say)
  try {
    const versions = createVersions(app, served, letter, keys)
    const stage = { ...world, letter, app, archive, versions, fetcher, git, rsync }
    const found = [...(await measureArrival(stage, await versions.publishWhole()))]
    git?.commit()
    await git?.run()
    // Both trees are there before the first edit.
    for (const _ of ['one', 'other']) await rsync?.run()
    for (const [name, share] of Object.entries(shares)) {
      // A new worktree takes what it takes, however little changed.
      const isMeasured = name === 'one file'
      found.push(...(await measureEdits(name, share, { ...stage, git: isMeasured ? git : undefined })))
    }
    return found
  } finally {
    await fetcher.stop()
    for (const gone of [home, app, join(folder, 'git'), join(folder, 'rsync'), archive.file])
      await rm(gone, { recursive: true, force: true })
  }
}

/** The whole of it, into a fetcher that has refreshed before: as a tree and as an archive. */
async function measureArrival(stage: Stage, whole: Version): Promise<readonly Figures[]> {
  const { fetcher, archive, runs, say, letter, served, runFresh } = stage
  const all = createTally(`${letter} first arrival`)
  const cLimit = await createCLimit(served, whole, stage.folder, runFresh, say)
  const peers = cLimit === undefined ? stage.peers : [...stage.peers, cLimit]
  for (const target of [whole, archive]) {
    await fetcher.refresh(target)
    await fetcher.forget(target)
  }
  for (let round = 1; round <= runs; round++) {
    for (const [name, target] of [
      ['ours', whole],
      ['archive', archive],
    ] as const) {
      fetcher.forgetPeak()
      const refreshed = await fetcher.refresh(target)
      checkTree(name, refreshed.tree, archive.tree)
      all.add(name, { ...refreshed, rssMb: fetcher.peakMb() })
      await fetcher.forget(target)
    }
    await runPeers({ ...stage, peers }, all)
    say(`${letter} first arrival, round ${round} of ${runs}, s: ${all.lastOf()}`)
  }
  await fetcher.refresh(whole)
  await fetcher.prepare(whole)
  return all.figures()
}

/** So many edits, fetched by a fetcher that has the version before, and its clone. */
async function measureEdits(name: string, share: number, stage: Stage): Promise<readonly Figures[]> {
  const { fetcher, versions, app, git, rsync, runs, say, letter } = stage
  const all = createTally(`${letter} ${name}`)
  for (let round = 0; round <= runs; round++) {
    await versions.edit(Math.max(1, Math.round(versions.files * share)))
    const next = await versions.publishDelta()
    git?.commit()
    fetcher.forgetPeak()
    const refreshed = await fetcher.refresh(next)
    if (refreshed.source !== 'delta') throw new Error(`${letter} ${name} came as ${refreshed.source}`)
    const rssMb = fetcher.peakMb()
    checkTree('the fetcher', refreshed.tree, measureTree(app))
    const standbySeconds = await fetcher.prepare(next)
    // The first of each case meets code that V8 has not compiled.
    if (round > 0) all.add('ours', { ...refreshed, rssMb, standbySeconds })
    const worktree = await git?.run()
    if (worktree !== undefined) {
      checkTree('git', worktree.tree, measureTree(app))
      await rm(worktree.tree, { recursive: true })
      if (round > 0) all.add('git', { ...worktree, bytes: undefined })
    }
    const copied = await rsync?.run()
    if (copied !== undefined) {
      checkTree('rsync', copied.tree, measureTree(app))
      if (round > 0) all.add('rsync', { ...copied, bytes: undefined })
    }
    if (round > 0) await runPeers(stage, all)
    if (round > 0) say(`${letter} ${name}, round ${round} of ${runs}, s: ${all.lastOf()}`)
  }
  return all.figures()
}

/** Who moves the whole archive for any edit. */
async function runPeers({ peers, archive, folder }: Stage, all: Tally): Promise<void> {
  for (const peer of peers) {
    const empty = join(folder, 'fresh')
    await mkdir(empty)
    const { tree, ...ran } = await peer.run(archive, empty)
    checkTree(peer.name, tree, archive.tree)
    all.add(peer.name, { ...ran, bytes: peer.name === 'c-limit' ? undefined : archive.bytes })
    await rm(empty, { recursive: true })
  }
}

interface Measured {
  readonly seconds: number
  readonly markerMs?: number
  readonly rssMb: number
  readonly bytes: number | undefined
  readonly standbySeconds?: number
}

type Tally = ReturnType<typeof createTally>

function createTally(name: string) {
  const found = new Map<string, Measured[]>()
  const list = (of: readonly Measured[], pick: (one: Measured) => number | undefined) => {
    const values = of.map(pick).filter((value) => value !== undefined)
    return values.length === 0 ? undefined : median(values)
  }
  return {
    add(contestant: string, measured: Measured): void {
      found.set(contestant, [...(found.get(contestant) ?? []), measured])
    },
    lastOf: () => [...found].map(([who, runs]) => `${who} ${runs.at(-1)?.seconds.toFixed(4)}`).join(', '),
    figures: (): readonly Figures[] =>
      [...found].map(([contestant, runs]) => ({
        case: name,
        contestant,
        seconds: runs.map(({ seconds }) => seconds),
        markerMs: list(runs, (one) => one.markerMs),
        bytes: list(runs, (one) => one.bytes),
        rssMb: Math.max(...runs.map(({ rssMb }) => rssMb)),
        standbySeconds: list(runs, (one) => one.standbySeconds),
      })),
  }
}
