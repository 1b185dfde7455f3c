// npm start: the main job on one machine, shown. Real agents as processes, a real artifact server, a real load.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { serveFolder } from './artifact-server.ts'
import { makeDemoFolder } from './folder.ts'
import { annotate } from './publish.ts'
import { bad, good, heading, plain, table } from './say.ts'
import {
  beginLoad,
  makeKeys,
  offerTampered,
  publishVersion,
  type Swap,
  startPod,
  swapTo,
  writeVersion,
} from './story.ts'

const { values } = parseArgs({ options: { keep: { type: 'boolean', default: false } } })
/** Before, between and after the swaps, so that what goes on undisturbed is counted too. */
const steadyMs = 1000
const cleanups: (() => void | Promise<void>)[] = []
let isEnding = false
process.once('SIGINT', () => void end(130))
process.once('SIGTERM', () => void end(143))
try {
  await tell(values.keep)
  await end(0)
} catch (error) {
  if (!isEnding) plain(bad(`\nThe demo stopped: ${error instanceof Error ? error.message : String(error)}`))
  await end(1)
}

/** Stops what was started, the last first, and ends the process. */
async function end(code: number): Promise<void> {
  if (isEnding) return
  isEnding = true
  for (let clean = cleanups.pop(); clean !== undefined; clean = cleanups.pop()) await clean()
  process.exit(code)
}

async function tell(keep: boolean): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'aether-demo-'))
  if (!keep) cleanups.push(() => rm(root, { recursive: true, force: true }))
  const folder = await makeDemoFolder(root)
  const server = await serveFolder(folder.artifacts)
  cleanups.push(() => server.close())
  await writeFile(folder.address, server.url)

  heading('1. A first release: v1 is packed, signed, verified and serves')
  await makeKeys(folder)
  await writeVersion(folder, '1.0.0')
  await annotate(folder, await publishVersion(folder, 'v1'))
  const pod = await startPod(folder, (agent) => cleanups.push(agent.stop))
  const load = beginLoad(pod)
  await sleep(steadyMs)

  heading('2. The running app moves to v2, in place')
  await writeVersion(folder, '2.0.0')
  const swap = await swapTo(folder, pod, load, await publishVersion(folder, 'v2'), '2.0.0')
  await sleep(steadyMs)

  heading('3. A tampered v3 is refused')
  await writeVersion(folder, '3.0.0')
  await offerTampered(folder, pod, await publishVersion(folder, 'v3'))
  await sleep(steadyMs)
  await load.stop()
  showFigures(swap, load.counts())

  if (keep) await keepRunning(root, pod.url)
}

function showFigures({ marker, totalMs, failed }: Swap, all: { answered: number; failed: number }): void {
  heading('What it took')
  const pair = (name: string) => (marker.kind === 'ok' ? `${marker.pairs[name] ?? '?'} ms` : '?')
  plain(
    table([
      ['verify the signature', pair('verify_ms')],
      ['fetch, verify the sha256, unpack', pair('fetch_ms')],
      ['activate (move one symlink, durably)', pair('activate_ms')],
      ['replace the process, until it is ready', pair('swap_ms')],
      ['annotation written -> first answer of v2', `${Math.round(totalMs)} ms`],
    ]),
  )
  const count = (text: string, none: boolean) => (none ? good(text) : bad(text))
  plain(
    `\n${all.answered} requests answered, ${count(`${all.failed} failed`, all.failed === 0)}: ${failed} while v1 gave way to v2, ${all.failed - failed} otherwise.`,
  )
  if (failed > 0)
    plain(
      'With one process at a time nobody listens for a moment while it is replaced; those requests are the failed ones.',
    )
}

async function keepRunning(root: string, url: string): Promise<void> {
  heading('It goes on running')
  plain(`  the app        ${url}
  its source     ${join(root, 'app')}: change it, then publish the next version with
                 npm run publish-demo -- ${root}
  the agents     tail -f ${join(root, 'fetcher.log')} ${join(root, 'supervisor.log')}
Ctrl-C ends it and keeps the folder.`)
  process.removeAllListeners('SIGINT').removeAllListeners('SIGTERM')
  await new Promise<void>((resolve) => {
    process.once('SIGINT', () => resolve())
    process.once('SIGTERM', () => resolve())
  })
}
