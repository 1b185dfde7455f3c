// init-fetch and fetcher as two users of one group on one volume, as fsGroup sets it up: root's, the group's by setgid,
// and a umask that takes the group's right to write away unless the agents say otherwise.
import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { releaseName } from '@aether/contract/layout'
import { reasons } from '@aether/contract/reasons'
import { killEnv } from '@aether/runtime/test-kill'
import { startProcess } from '@aether/runtime/test-process'
import { runAs } from '@aether/runtime/test-run-as'
import { test } from 'tap'
import { createWorld, type Made } from './test-kit.ts'

const group = 65_532
const initFetch = fileURLToPath(new URL('../init-fetch/main.ts', import.meta.url))

function whyNot(): { skip: string } | Record<string, never> {
  if (process.getuid?.() !== 0) return { skip: 'needs root: it runs the agents as two other users' }
  const env = { PATH: process.env.PATH, ...runAs(1000, group) }
  const { status } = spawnSync('env', [
    '-i',
    ...Object.entries(env).map((one) => one.join('=')),
    process.execPath,
    initFetch,
    '--help',
  ])
  return status === 0 ? {} : { skip: 'other users cannot read this folder: check the repository out elsewhere' }
}

await test('two users of one group work on one volume in turn, and prune what the other wrote', whyNot(), async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'aether-uids-'))
  t.teardown(() => rmSync(root, { recursive: true }))
  for (const name of ['data', 'run', 'podinfo']) mkdirSync(join(root, name))
  chmodSync(root, 0o755)
  chownSync(join(root, 'data'), 0, group)
  chmodSync(join(root, 'data'), 0o2775)
  const world = await createWorld(t, { AETHER_KEEP_RELEASES: '2' }, root)
  const { layout } = world
  const [a, b, c, d, e] = ['a', 'b', 'c', 'd', 'e'].map((name) => world.make(name))
  if (a === undefined || b === undefined || c === undefined || d === undefined || e === undefined)
    throw new Error('five')
  const onDisk = () => readdirSync(layout.releases).toSorted()
  const names = (...made: readonly Made[]) => made.map(({ digest }) => releaseName(digest)).toSorted()
  async function init(made: Made): Promise<number | NodeJS.Signals> {
    world.annotate(made.annotations)
    const env = {
      AETHER_ARTIFACT_ADDRESSES: 'any',
      AETHER_DATA_DIR: layout.root,
      AETHER_ANNOTATIONS_FILE: join(root, 'podinfo', 'annotations'),
      AETHER_PUBKEY: join(root, 'key.pem'),
    }
    const agent = startProcess(t, initFetch, { ...env, ...runAs(1000, group) })
    const code = await agent.exited
    if (code !== 0) t.comment(agent.lines.join('\n'))
    return code
  }

  t.equal(await init(a), 0)
  t.match(statSync(join(layout.releases, releaseName(a.digest))), { uid: 1000, gid: group })
  const fetcher = world.start(runAs(1001, group))
  t.match(await fetcher.marker(1), { kind: 'ok' })
  world.annotate(b.annotations)
  t.match(await fetcher.marker(2), { kind: 'ok' })
  world.annotate(c.annotations)
  t.match(await fetcher.marker(3), { kind: 'ok' })
  await fetcher.line('REFRESH_STATE', fetcher.lines.length - 1)
  t.equal(await init(d), reasons.busy.exitCode, 'the lock holds between users too')
  t.match(await fetcher.marker(4), { kind: 'ok' }, 'the fetcher took it instead')
  fetcher.kill('SIGTERM')
  t.equal(await fetcher.exited, 0)
  t.strictSame(onDisk(), names(c, d), "a was pruned, the other user's")

  const log = join(root, 'calls')
  writeFileSync(log, '')
  chmodSync(log, 0o666)
  world.annotate(e.annotations)
  const plan = { below: layout.root, log, like: 'write staging', at: 1, mode: 'during' } as const
  t.equal(await world.start(runAs(1001, group, killEnv(plan))).exited, 'SIGKILL')
  t.equal(readdirSync(layout.staging).length, 1, 'half a release lies there')
  t.equal(await init(e), 0)
  t.strictSame(readdirSync(layout.staging), [])
  t.equal(await world.current(), e.digest)
  const again = world.start(runAs(1001, group))
  t.match(await again.marker(1), { kind: 'ok' })
  again.kill('SIGTERM')
  t.equal(await again.exited, 0)
  t.strictSame(onDisk(), names(d, e))

  const release = join(layout.releases, releaseName(e.digest))
  t.equal(statSync(release).mode & 0o777, 0o775, 'a folder is writable for the group, and for no one else')
  t.equal(statSync(join(release, 'server.js')).mode & 0o777, 0o644, 'a file for nobody but its owner')
})
