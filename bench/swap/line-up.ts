// Makes the contestants of one app, each with a folder and ports of its own.
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

/** `cold`, and `spare` where the supervisor knows what a warm spare is. */
function oursKnown(): readonly string[] {
  return suiteNames.has(spare) ? ['cold', 'spare'] : ['cold']
}

/** Those that `--only` does not leave out, in the order in which they take turns. */
export async function startContestants(app: App, home: string, world: World): Promise<readonly Contestant[]> {
  const started: Contestant[] = []
  const { pm2, server, swap } = world
  const releases = await packReleases(app, world.served, world.keys)
  const enter = async (name: string, begin: (place: Place) => Contestant | Promise<Contestant>) => {
    if (takesPart(swap, name)) started.push(await begin(await makePlace(app, join(home, name), world)))
  }
  try {
    await enter('direct', startDirect)
    for (const name of oursKnown()) {
      const settings = suiteNames.has(spare) ? { [spare]: String(name === 'spare') } : {}
      await enter(name, (place) => startPod(name, place, releases, server, { ...callersSettings(), ...settings }))
    }
    await enter('restart', startRestart)
    if (pm2 !== undefined) await enter('pm2', (place) => startPm2(pm2, place))
    await enter('node-watch', startNodeWatch)
    return started
  } catch (error) {
    for (const one of started) await one.stop()
    throw error
  }
}

/** A folder with the first version of the app, and ports for it. */
export async function makePlace(app: App, folder: string, { certificate }: Pick<World, 'certificate'>): Promise<Place> {
  await makeVersion(app, folder, versions[0])
  const ports: number[] = []
  for (const _ of app.ports) ports.push(await freePort())
  const targets = ports.map((port) => ({ port, isTls: app.isTls }))
  return { app, folder, targets, env: environmentOf(app, ports, certificate) }
}

/** What whoever runs the bench has set is for the supervisor: another strategy, another drain. */
function callersSettings(): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      suiteNames.has(name) && value !== undefined ? [[name, value]] : [],
    ),
  )
}
