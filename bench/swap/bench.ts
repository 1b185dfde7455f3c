// An app brought from release to release under a strict load: ours, the app alone, and what people use today, in turns.
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createSigningPair } from '@aether/artifact/sign'
import { median } from '@aether/e2e/kit/report'
import type { BenchOptions } from '../bench.ts'
import { agentFile, start } from '../processes.ts'
import { makeWorkFolder } from '../release/work-folder.ts'
import { type App, chooseApps } from './apps.ts'
import { makeCertificate } from './certificate.ts'
import { startClient } from './client.ts'
import type { Contestant } from './contestants.ts'
import { makePlace, oursKnown, startContestants } from './line-up.ts'
import { type Memory, readMemory } from './memory.ts'
import { installPm2 } from './pm2.ts'
import { fullLoad, idleLoad, type Killed, runKills, runSession, type Session } from './session.ts'
import { measureBareStart, measureOwnStart } from './start-ratio.ts'
import { benchRows, formatTables, type Measured } from './summary.ts'
import { takesPart, type World } from './world.ts'

/** In which the contestants take turns. */
const rounds = 2
const steadyMs = 2000
const idleChanges = 10
const starts = 7
const neededMegabytes = 600

export async function benchSwap({ say, isJson, swap }: BenchOptions): Promise<void> {
  const apps = chooseApps(swap.apps)
  const { path: folder, description } = makeWorkFolder(swap.folder, neededMegabytes)
  const served = join(folder, 'served')
  await mkdir(served)
  const keys = createSigningPair()
  const keyFile = join(folder, 'key.pem')
  await writeFile(keyFile, keys.publicPem)
  const files = start('bench/release/file-server.ts', [served], {})
  const client = startClient()
  try {
    const server = { url: await files.line('http://'), keyFile }
    const certificate = makeCertificate(folder)
    const pm2 = takesPart(swap, 'pm2') ? await installPm2(folder, say) : undefined
    const world: World = { folder, served, keys, server, certificate, client, pm2, swap, say }
    const all: Measured[] = []
    for (const app of apps) all.push(...(await measureApp(app, world)))
    const on = `${description}, ours from ${agentFile('supervisor')}, ${oursKnown().join(' and ')}`
    const print = isJson ? say : console.log
    print(`on ${on}`)
    for (const line of formatTables(all)) print(line)
    if (isJson) console.log(JSON.stringify({ name: 'swap', on, ...benchRows(all) }))
  } finally {
    await client.end()
    await files.stop()
  }
}

async function measureApp(app: App, world: World): Promise<readonly Measured[]> {
  const home = join(world.folder, app.name)
  await mkdir(home)
  const contestants = await startContestants(app, home, world)
  try {
    const sessions = await takeTurns(app, contestants, world)
    const startMs = await measureStarts(app, contestants, home, world)
    const measured: Measured[] = []
    for (const contestant of contestants) {
      const memory = await measureMemory(contestant, world)
      const kills = contestant.restarts ? await kill(app, contestant, world) : []
      const own = sessions.get(contestant.name) ?? { full: [], idle: [] }
      measured.push({
        app: app.name,
        contestant: contestant.name,
        ...own,
        memory,
        kills,
        starts: startMs.get(contestant.name) ?? [],
      })
    }
    return measured
  } finally {
    for (const contestant of contestants) await contestant.stop()
    await rm(home, { recursive: true })
  }
}

/** A part of the changes of each in turn, so that whatever the machine does meets all of them. */
async function takeTurns(app: App, contestants: readonly Contestant[], { client, swap, say }: World) {
  const all = new Map(
    contestants.map(({ name }) => [name, { full: Array.of<Session>(), idle: Array.of<Session>() }] as const),
  )
  for (let round = 0; round < rounds; round++) {
    for (const contestant of contestants) {
      const isOurs = oursKnown().some((name) => name === contestant.name)
      const swaps = isOurs ? swap.swaps : Math.min(swap.swaps, swap.theirs)
      const requests = isOurs ? Math.ceil(swap.requests / rounds) : 0
      const session = await runSession(client, contestant, fullLoad, {
        changes: part(swaps, round),
        requests,
        steadyMs,
      })
      all.get(contestant.name)?.full.push(session)
      const failed = session.all.reduce((sum, { failedCount }) => sum + failedCount, 0)
      say(
        `${app.name}, round ${round + 1} of ${rounds}, ${contestant.name}: new code after ${show(session)} ms, ${failed} failed`,
      )
      if (contestant.change === undefined) continue
      const changes = part(Math.min(swaps, idleChanges), round)
      const idle = await runSession(client, contestant, idleLoad, { changes, requests: 0, steadyMs: 0 })
      all.get(contestant.name)?.idle.push(idle)
      say(`${app.name}, round ${round + 1} of ${rounds}, ${contestant.name} idle: new code after ${show(idle)} ms`)
    }
  }
  return all
}

/** Of `total` things, how many are for this round. */
function part(total: number, round: number): number {
  return Math.floor((total * (round + 1)) / rounds) - Math.floor((total * round) / rounds)
}

function show({ newCodeMs }: Session): string {
  return newCodeMs.map((ms) => ms.toFixed()).join(', ') || 'no'
}

/** In turns too. The bare start is `direct`'s. */
async function measureStarts(app: App, contestants: readonly Contestant[], home: string, world: World) {
  const ours = contestants.filter(({ name }) => oursKnown().some((one) => one === name))
  const place = await makePlace(app, join(home, 'bare'), world)
  const all = new Map<string, number[]>(['direct', ...ours.map(({ name }) => name)].map((name) => [name, []]))
  for (let at = 0; at < starts; at++) {
    all.get('direct')?.push(await measureBareStart(world.client, place))
    for (const one of ours) all.get(one.name)?.push(await measureOwnStart(world.client, one))
  }
  world.say(
    `${app.name}: starts in ms, p50: ${[...all].map(([name, ms]) => `${name} ${median(ms).toFixed()}`).join(', ')}`,
  )
  return all
}

async function measureMemory({ targets, processes }: Contestant, { client }: World): Promise<readonly Memory[]> {
  client.start({ ...idleLoad, targets })
  await sleep(500)
  const memory = readMemory(processes(), client.newestPid())
  await client.stop()
  return memory
}

async function kill(app: App, contestant: Contestant, { client, swap, say }: World): Promise<readonly Killed[]> {
  const isOurs = oursKnown().some((name) => name === contestant.name)
  const kills = await runKills(client, contestant, isOurs ? swap.kills : Math.min(swap.kills, swap.theirs))
  say(`${app.name}, ${contestant.name} killed: back after ${kills.map(({ backMs }) => backMs.toFixed()).join(', ')} ms`)
  return kills
}
