// One app with all contestants: changes under load and without, pairs beside the app alone, memory, starts, kills.
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { median } from '@aether/e2e/kit/report'
import type { App } from './apps.ts'
import type { Contestant } from './contestants.ts'
import { placeApp, startContestants } from './line-up.ts'
import type { Measured } from './measured.ts'
import { type Memory, readMemory } from './memory.ts'
import { measurePairs, type Pair } from './pairs.ts'
import { fullLoad, idleLoad, type Killed, runKills, runSession, type Session } from './session.ts'
import { measureBareStart, measureOwnStart } from './start-ratio.ts'
import type { World } from './world.ts'

/** In which the contestants take turns. */
const rounds = 2
const idleChanges = 10
const pairs = 15
const starts = 7

type Turns = Map<Contestant, { readonly full: Session[]; readonly idle: Session[] }>
type Pairs = Map<Contestant, readonly Pair[]>

export async function measureApp(app: App, world: World): Promise<readonly Measured[]> {
  const home = join(world.folder, app.name)
  await mkdir(home)
  const contestants = await startContestants(app, home, world)
  try {
    const isAll = world.swap.starts === undefined
    const sessions: Turns = isAll ? await takeTurns(app, contestants, world) : new Map()
    const pairsOf: Pairs = isAll ? await takePairs(app, contestants, world) : new Map()
    const memoryOf = new Map<Contestant, readonly Memory[]>()
    if (isAll) for (const one of contestants) memoryOf.set(one, await measureMemory(one, world))
    const startsOf = await measureStarts(app, contestants, home, world)
    const measured: Measured[] = []
    for (const contestant of contestants)
      measured.push({
        app: app.name,
        contestant: contestant.name,
        isOurs: contestant.isOurs,
        full: sessions.get(contestant)?.full ?? [],
        idle: sessions.get(contestant)?.idle ?? [],
        pairs: pairsOf.get(contestant) ?? [],
        memory: memoryOf.get(contestant) ?? [],
        starts: startsOf.get(contestant) ?? [],
        kills: isAll && contestant.restarts ? await kill(app, contestant, world) : [],
      })
    return measured
  } finally {
    for (const contestant of contestants) await contestant.stop()
    await rm(home, { recursive: true })
  }
}

/** A part of the changes of each in turn, so that whatever the machine does meets all of them. */
async function takeTurns(app: App, contestants: readonly Contestant[], { client, swap, say }: World): Promise<Turns> {
  const all: Turns = new Map()
  for (let round = 0; round < rounds; round++) {
    for (const one of contestants.filter(({ change }) => change !== undefined)) {
      const swaps = one.isOurs ? swap.swaps : Math.min(swap.swaps, swap.theirs)
      const { full, idle } = all.get(one) ?? { full: [], idle: [] }
      all.set(one, { full, idle })
      const asked = one.isOurs ? Math.ceil(swap.requests / rounds) : 0
      full.push(await runSession(client, one, fullLoad, { changes: part(swaps, round), requests: asked }))
      idle.push(
        await runSession(client, one, idleLoad, { changes: part(Math.min(swaps, idleChanges), round), requests: 0 }),
      )
      const who = `${app.name}, round ${round + 1} of ${rounds}, ${one.name}`
      say(`${who}: new code after ms: ${show(full.at(-1))}; idle ${show(idle.at(-1))}`)
    }
  }
  return all
}

/** Of `total` things, how many are for this round. */
function part(total: number, round: number): number {
  return Math.floor((total * (round + 1)) / rounds) - Math.floor((total * round) / rounds)
}

function show(session: Session | undefined): string {
  const failed = session?.all.reduce((sum, { failedCount }) => sum + failedCount, 0)
  return `${session?.newCodeMs.join(', ')} (${failed} failed)`
}

/** Of each of ours, where the app alone takes part. */
async function takePairs(app: App, contestants: readonly Contestant[], { client, say }: World): Promise<Pairs> {
  const all: Pairs = new Map()
  const direct = contestants.find(({ change }) => change === undefined)
  if (direct === undefined) return all
  for (const one of contestants.filter(({ isOurs }) => isOurs)) {
    const found = await measurePairs(client, one, direct, pairs)
    all.set(one, found)
    const shares = found.map((pair) => (pair.ours.requestsPerSecond / pair.direct.requestsPerSecond).toFixed(2))
    say(`${app.name}, ${one.name}: throughput by that of the app alone ${shares.join(', ')}`)
  }
  return all
}

async function measureMemory({ targets, processes }: Contestant, { client }: World): Promise<readonly Memory[]> {
  client.start({ ...idleLoad, targets })
  await sleep(500)
  const memory = readMemory(processes(), client.newestPid())
  await client.stop()
  return memory
}

/** In turns too. The bare start is that of the app alone. */
async function measureStarts(
  app: App,
  contestants: readonly Contestant[],
  home: string,
  { client, say, ...world }: World,
) {
  const place = await placeApp(app, join(home, 'bare'), world)
  const all = new Map<Contestant, number[]>()
  for (let at = 0; at < (world.swap.starts ?? starts); at++) {
    for (const one of contestants.filter(({ isOurs, change }) => isOurs || change === undefined)) {
      const ms = one.isOurs ? await measureOwnStart(client, one) : await measureBareStart(client, place)
      all.set(one, [...(all.get(one) ?? []), ms])
    }
  }
  say(`${app.name}: starts in ms, p50: ${[...all].map(([{ name }, ms]) => `${name} ${median(ms)}`).join(', ')}`)
  return all
}

async function kill(app: App, contestant: Contestant, { client, swap, say }: World): Promise<readonly Killed[]> {
  const kills = await runKills(client, contestant, contestant.isOurs ? swap.kills : Math.min(swap.kills, swap.theirs))
  say(`${app.name}, ${contestant.name} killed: back after ms: ${kills.map(({ backMs }) => backMs).join(', ')}`)
  for (const why of kills.flatMap((one) => one.why)) say(`${app.name}, ${contestant.name} killed: lost: ${why}`)
  return kills
}
