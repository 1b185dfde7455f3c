// An app brought from release to release under a strict load: ours, the app alone, and what people use today, in turns.
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createSigningPair } from '@aether/artifact/sign'
import type { BenchOptions } from '../bench.ts'
import { agentFile, start } from '../processes.ts'
import { makeWorkFolder } from '../release/work-folder.ts'
import { chooseApps } from './apps.ts'
import { makeCertificate } from './certificate.ts'
import { startClient } from './client.ts'
import { measureApp } from './measure-app.ts'
import type { Measured } from './measured.ts'
import { installPm2 } from './pm2.ts'
import { benchRows } from './rows.ts'
import { formatTables } from './tables.ts'
import { takesPart, type World } from './world.ts'

const neededMegabytes = 600

export async function benchSwap({ say, isJson, swap }: BenchOptions): Promise<void> {
  const apps = chooseApps(swap.apps)
  if (apps.some(({ isCached }) => isCached) && process.getuid?.() !== 0)
    throw new Error(
      'an app with a compile cache needs root: the supervisor is to be another user than who has the release',
    )
  // Each process that is started has one, for the case that this one is interrupted.
  process.setMaxListeners(100)
  const { path: folder, description } = makeWorkFolder(swap.folder, neededMegabytes)
  await chmod(folder, 0o755)
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
    const on = `${description}, ours from ${agentFile('supervisor')}`
    const print = isJson ? say : console.log
    print(`on ${on}`)
    for (const line of formatTables(all)) print(line)
    if (isJson) console.log(JSON.stringify({ name: 'swap', on, ...benchRows(all) }))
  } finally {
    await client.end()
    await files.stop()
  }
}
