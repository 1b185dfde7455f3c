// Makes the contestants of one app, each with a folder and ports of its own.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { suiteNames } from '@aether/contract/env-names'
import { freePort } from '../release/warm-fetcher.ts'
import { type App, environmentOf, makeVersion, versions } from './apps.ts'
import type { Contestant } from './contestants.ts'
import { type Place, startDirect, startNodeWatch, startRestart } from './peers.ts'
import { startPm2 } from './pm2.ts'
import { startPod } from './pod.ts'
import { packReleases } from './releases.ts'
import { takesPart, type World } from './world.ts'

const spare = 'AETHER_WARM_SPARE'
/** Who kills a release three times in a minute has it taken back, and would measure that instead. */
const probation = 'AETHER_PROBATION_SEC'

/** Those that `--only` does not leave out, in the order in which they take turns. */
export async function startContestants(app: App, home: string, world: World): Promise<readonly Contestant[]> {
  const started: Contestant[] = []
  const { pm2, server, swap } = world
  const releases = await packReleases(app, world.served, world.keys)
  const peer = async (name: string, begin: (place: Place) => Contestant | Promise<Contestant>) => {
    if (takesPart(swap, name)) started.push(await begin(await placeApp(app, join(home, name), world)))
  }
  const ours = async (name: string, settings: Readonly<Record<string, string>>) => {
    if (!takesPart(swap, name)) return
    const place = await makePlace(app, join(home, name), world)
    started.push(
      await startPod(name, place, releases, server, {
        ...known({ [probation]: '0' }),
        ...callersSettings(),
        ...known(settings),
      }),
    )
  }
  try {
    await peer('direct', startDirect)
    await ours('cold', { [spare]: 'false' })
    if (suiteNames.has(spare)) await ours('spare', { [spare]: 'true' })
    await peer('restart', startRestart)
    if (pm2 !== undefined) await peer('pm2', (place) => startPm2(pm2, place))
    await peer('node-watch', startNodeWatch)
    return started
  } catch (error) {
    for (const one of started) await one.stop()
    throw error
  }
}

/** A folder with the first version of the app, and ports for it. */
export async function placeApp(app: App, folder: string, world: Certified): Promise<Place> {
  const place = await makePlace(app, folder, world)
  await makeVersion(app, folder, versions[0])
  return place
}

type Certified = Pick<World, 'certificate'>

async function makePlace(app: App, folder: string, { certificate }: Certified): Promise<Place> {
  await mkdir(folder)
  const ports: number[] = []
  for (const _ of app.ports) ports.push(await freePort())
  const targets = ports.map((port) => ({ port, isTls: app.isTls }))
  return { app, folder, targets, env: environmentOf(app, ports, certificate) }
}

/** Without what the suite does not know yet, so that the bench measures an older supervisor too. */
function known(settings: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(settings).filter(([name]) => suiteNames.has(name)))
}

/** What whoever runs the bench has set is for the supervisor: another strategy, another drain. */
function callersSettings(): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      suiteNames.has(name) && value !== undefined ? [[name, value]] : [],
    ),
  )
}
