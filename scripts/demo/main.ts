// npm start: the main job on one machine, shown. Control, CLI and agents as real processes, under a real load.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { openFileStore } from './file-store.ts'
import { type DemoFolder, makeDemoFolder } from './folder.ts'
import { bad, good, heading, plain, table } from './say.ts'
import {
  askForTampered,
  beginLoad,
  type ControlService,
  deployFirst,
  deployNext,
  type OnStart,
  type Pod,
  registerApp,
  type Swap,
  startControl,
  writeVersion,
} from './story.ts'
import { type EditedLine, editOneLine } from './tree-story.ts'

const { values } = parseArgs({ options: { keep: { type: 'boolean', default: false } } })
/** Before, between and after the swaps, so that what goes on undisturbed is counted too. */
const steadyMs = 1000
const cleanups: (() => void | Promise<void>)[] = []
let isEnding = false
process.once('SIGINT', () => void end(130))
process.once('SIGTERM', () => void end(143))
// What nobody waits for: a log that cannot be written.
process.on('uncaughtException', (error) => void stopFor(error))
try {
  await tell(values.keep)
  await end(0)
} catch (error) {
  await stopFor(error)
}

async function stopFor(error: unknown): Promise<void> {
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
  const onStart: OnStart = (process) => cleanups.push(process.stop)
  const store = await openFileStore(join(root, 'store'))
  cleanups.push(store.close)

  heading('1. A first release: control, an app, and v1 serves')
  const control = await startControl(folder, onStart)
  await registerApp(folder, control)
  await writeVersion(folder, '1.0.0')
  const pod = await deployFirst(folder, control, store, onStart)
  const load = beginLoad(pod)
  await sleep(steadyMs)

  heading('2. The running app moves to v2, in place')
  await writeVersion(folder, '2.0.0')
  const swap = await deployNext(control, pod, load, '2.0.0')
  await sleep(steadyMs)

  heading('3. A tampered v3 is refused')
  await writeVersion(folder, '3.0.0')
  await askForTampered(folder, control, pod, store)
  await sleep(steadyMs)

  heading('4. One edited line of a larger app travels as one edited line')
  const edited = await editOneLine(folder, control, pod, load)
  await sleep(steadyMs)
  await load.stop()
  showFigures(swap, load.counts())
  showEdited(edited)

  if (keep) await keepRunning(folder, control, pod)
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
      ['aether deploy typed -> first answer of v2', `${Math.round(totalMs)} ms`],
    ]),
  )
  const count = all.failed === 0 ? good('0 failed') : bad(`${all.failed} failed`)
  const where = all.failed === 0 ? '' : `: ${failed} while v1 gave way to v2, ${all.failed - failed} otherwise`
  plain(`\n${all.answered} requests answered, ${count}${where}.`)
}

function showEdited({ files, archiveBytes, first, edited }: EditedLine): void {
  heading(`What one edited line cost, in an app of ${files} files and folders`)
  const row = (what: string, { bytes, ms }: { bytes: number; ms: number }) => [
    what,
    `${bytes.toLocaleString('en')} bytes`,
    `${Math.round(ms)} ms`,
  ]
  plain(
    table([
      row('a tree, the first time: all of it', first),
      row('the line: what changed', edited),
      ['the line, as an archive would bring it', `${archiveBytes.toLocaleString('en')} bytes`, ''],
    ]),
  )
}

async function keepRunning({ root, app, signingKey }: DemoFolder, control: ControlService, pod: Pod): Promise<void> {
  const env = join(root, 'env')
  const words = { AETHER_URL: control.url, AETHER_TOKEN: control.token, AETHER_SIGNING_KEY: signingKey }
  const lines = Object.entries(words).map(([name, value]) => `export ${name}='${value}'\n`)
  await writeFile(env, lines.join(''), { mode: 0o600 })
  heading('It goes on running')
  plain(`  the app        ${pod.url}
  its source     ${app}: change it, then
                 . ${env}; npx aether deploy ${app} --dev-hot
  control        ${control.url}/docs has its API; npx aether status hello asks it
  the logs       tail -f ${root}/*.log
Ctrl-C ends it and keeps the folder.`)
  process.removeAllListeners('SIGINT').removeAllListeners('SIGTERM')
  await new Promise<void>((resolve) => {
    process.once('SIGINT', () => resolve())
    process.once('SIGTERM', () => resolve())
  })
}
