import { agentEnvironment } from '@aether/images/bundles'

if (process.env.PROF)
  (agentEnvironment as any).NODE_OPTIONS += ' --cpu-prof --cpu-prof-interval=100 --cpu-prof-dir=/tmp/prof'

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createSigningPair } from '@aether/artifact/sign'
import { createVersions } from './delta/versions.ts'
import { start } from './processes.ts'
import { makeTiny, plantApp } from './release/artifacts.ts'
import { chooseCases } from './release/cases.ts'
import { startWarmFetcher } from './release/warm-fetcher.ts'
import { makeWorkFolder } from './release/work-folder.ts'

const [one] = chooseCases([process.argv[2] ?? 'b'], false)
const { path: folder } = makeWorkFolder(undefined, 3000)
const served = join(folder, 'served')
await mkdir(served)
const keys = createSigningPair()
const keyFile = join(folder, 'key.pem')
await writeFile(keyFile, keys.publicPem)
const server = start('bench/release/file-server.ts', [served], {})
const place = { url: await server.line('http://'), keyFile }
const tiny = [await makeTiny('tiny-1', served, keys), await makeTiny('tiny-2', served, keys)]
const app = join(folder, 'app')
await mkdir(app)
await plantApp(one!, app)
const home = join(folder, 'warm')
await mkdir(home)
const fetcher = await startWarmFetcher(place, home, tiny)
const versions = createVersions(app, served, 'v', keys)
const whole = await versions.publishWhole()
fetcher.forgetPeak()
let r = await fetcher.refresh(whole)
console.log('full', r, fetcher.peakMb())
await fetcher.prepare(whole)
const times = []
for (let i = 0; i < Number(process.argv[3] ?? 10); i++) {
  await versions.edit(1)
  const next = await versions.publishDelta()
  fetcher.forgetPeak()
  r = await fetcher.refresh(next)
  const cpu = await fetcher.prepare(next)
  times.push(r.seconds)
  console.log(
    (r.seconds * 1000).toFixed(2),
    r.markerMs,
    r.bytes,
    r.source,
    cpu,
    fetcher.peakMb().toFixed(1),
    fetcher
      .lines()
      .filter((l) => l.startsWith('REFRESH_OK'))
      .at(-1)
      ?.replace(/.*verify/, 'verify'),
  )
}
console.log('median', times.sort((a, b) => a - b)[times.length >> 1])
await fetcher.stop()
await server.stop()
