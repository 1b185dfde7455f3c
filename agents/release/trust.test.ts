// Which release is used after a reboot, what its manifest notices, and how it is put right in its place.
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import type { Digest } from '@aether/contract/digest'
import { layoutOf, type VolumeLayout } from '@aether/contract/layout'
import { test } from 'tap'
import { findRelease, readActivation, readCurrent, recordPath, releasePath } from './activate.ts'
import { findDifference, writeManifest } from './manifest.ts'
import { amendRecord, manifestPath, readRecord } from './record.ts'
import { recoverVolume } from './recover.ts'
import { createSlices } from './slices.ts'
import { createWorld, listTree, reasonOf } from './test-kit.ts'
import { endMark, entry, file, header, packed, symlink } from './test-tar.ts'

const slices = createSlices(Number.POSITIVE_INFINITY, new AbortController().signal)

const tree = packed(
  file('server.js'),
  entry({ name: 'bin/run', mode: 0o755 }, '#!/bin/sh\n'),
  file('lib.js'),
  file('lib/part.js', 'part '.repeat(100_000)),
  header({ name: 'lib/same.js', type: '1', link: 'lib/part.js' }),
  header({ name: 'empty', type: '5', mode: 0o755 }),
  symlink('main.js', 'server.js'),
  file('naïve "name" 🚀'),
  endMark,
)

let boots = 0
/** The volume as a machine sees it that was started anew. */
function rebooted(layout: VolumeLayout): VolumeLayout {
  const bootId = join(layout.root, `boot-${++boots}`)
  writeFileSync(bootId, `boot ${boots}\n`)
  return layoutOf(layout.root, bootId)
}

/** As the fetcher does it some time after the verdict. */
async function makeManifest(layout: VolumeLayout, digest: Digest): Promise<string> {
  const manifest = await writeManifest(layout, digest, slices)
  const record = await readRecord(layout, digest)
  if (record !== undefined) await amendRecord(layout, { ...record, manifest })
  return manifest
}

await test('in the boot that verified it a release is trusted; in another one it is verified again, once', async (t) => {
  const world = await createWorld(t)
  const { digest } = world.publish(tree)
  await world.take(world.publish(tree))
  const first = rebooted(world.layout)
  t.equal(await findRelease(first, digest), undefined, 'without a manifest it is not on disk')
  t.match(await findRelease(world.layout, digest), { digest })

  const { mtimeMs } = statSync(recordPath(world.layout, digest))
  await makeManifest(world.layout, digest)
  t.match(await findRelease(first, digest), { digest, artifactBytes: tree.length })
  t.match(await readRecord(first, digest), { boot: readFileSync(first.bootId, 'utf8').trim() })
  t.equal(Math.round(statSync(recordPath(first, digest)).mtimeMs), Math.round(mtimeMs), 'it is as old as it was')

  const [late, ended] = [rebooted(first), AbortSignal.abort()]
  await t.rejects(findRelease(late, digest, ended), { name: 'AbortError' }, 'a newer target does not wait for it')
  t.not((await readRecord(late, digest))?.boot, readFileSync(late.bootId, 'utf8').trim())

  writeFileSync(join(releasePath(first, digest), 'server.js'), 'content of server_js\n')
  t.match(await findRelease(first, digest), { digest }, 'once: the same boot reads no file again')
  t.equal(await findRelease(rebooted(first), digest), undefined, 'the next boot does')
  t.equal(
    await findRelease(layoutOf(world.root, '/nowhere'), digest),
    undefined,
    'a kernel that says no boot has a new one',
  )
})

const inside = (folder: string, path: string) => join(folder, path)
const damages: readonly (readonly [string, string, (folder: string) => void])[] = [
  ['a byte', 'changed', (at) => writeFileSync(inside(at, 'server.js'), 'content of server_js\n')],
  [
    'no bytes under the right size, as a power loss leaves it',
    'changed',
    (at) => {
      truncateSync(inside(at, 'lib.js'), 0)
      truncateSync(inside(at, 'lib.js'), 'content of lib.js\n'.length)
    },
  ],
  ['the execute bit', 'changed', (at) => chmodSync(inside(at, 'bin/run'), 0o644)],
  ['the end of a large file', 'changed', (at) => truncateSync(inside(at, 'lib/part.js'), 499_999)],
  [
    'the target of a link',
    'changed',
    (at) => {
      unlinkSync(inside(at, 'main.js'))
      symlinkSync('lib.js', inside(at, 'main.js'))
    },
  ],
  [
    'a link to the same bytes in place of a file',
    'changed',
    (at) => {
      writeFileSync(`${at}-server`, 'content of server.js\n')
      unlinkSync(inside(at, 'server.js'))
      symlinkSync(`${at}-server`, inside(at, 'server.js'))
    },
  ],
  [
    'a link to a folder in place of a folder',
    'changed',
    (at) => {
      execFileSync('mv', [inside(at, 'lib'), `${at}-lib`])
      symlinkSync(`${at}-lib`, inside(at, 'lib'))
    },
  ],
  [
    'a FIFO in place of a file',
    'changed',
    (at) => {
      unlinkSync(inside(at, 'lib.js'))
      execFileSync('mkfifo', [inside(at, 'lib.js')])
    },
  ],
  [
    'a folder in place of a file',
    'changed',
    (at) => {
      unlinkSync(inside(at, 'lib.js'))
      mkdirSync(inside(at, 'lib.js/deep'), { recursive: true })
    },
  ],
  [
    'a file in place of a folder',
    'changed',
    (at) => {
      rmSync(inside(at, 'bin'), { recursive: true })
      writeFileSync(inside(at, 'bin'), '')
    },
  ],
  ['a file that is gone', 'missing', (at) => unlinkSync(inside(at, 'lib/part.js'))],
  ['the last entry of all that is gone', 'missing', (at) => unlinkSync(inside(at, 'server.js'))],
  ['an empty folder that is gone', 'missing', (at) => rmSync(inside(at, 'empty'), { recursive: true })],
  ['a folder that is gone', 'missing', (at) => rmSync(inside(at, 'lib'), { recursive: true })],
  ['everything', 'missing', (at) => execFileSync('find', [at, '-mindepth', '1', '-delete'])],
  ['a file more', 'extra', (at) => writeFileSync(inside(at, 'lib/.hidden'), '')],
  ['a folder more', 'extra', (at) => mkdirSync(inside(at, 'zzz'))],
  [
    'a name that is not UTF-8',
    'extra',
    (at) => writeFileSync(Buffer.concat([Buffer.from(`${at}/`), Buffer.from([0x61, 0xff])]), ''),
  ],
]

await test('whatever differs from the manifest is noticed, and put right without a path missing meanwhile', async (t) => {
  const world = await createWorld(t)
  const { layout } = world
  const target = world.publish(tree)
  const { digest } = target
  await world.take(target)
  const folder = releasePath(layout, digest)
  const whole = listTree(folder)
  for (const [what, detail, damage] of damages) {
    const sha256 = await makeManifest(layout, digest)
    t.equal(await findDifference(layout, digest, sha256, slices), undefined, `${what}: whole before`)
    damage(folder)
    t.match(await findDifference(layout, digest, sha256, slices), { detail }, what)
    const later = rebooted(layout)
    t.equal(await findRelease(later, digest), undefined, `${what}: it is not used by the next boot`)

    const there = [folder, ...['server.js', 'naïve "name" 🚀', 'main.js', 'empty'].map((path) => inside(folder, path))]
    const before = there.filter((path) => existsSync(path))
    const ended = new AbortController()
    t.teardown(() => ended.abort())
    const missed = (async () => {
      const all = new Set<string>()
      for (; !ended.signal.aborted; await turn()) for (const path of before) if (!existsSync(path)) all.add(path)
      return [...all]
    })()
    const refreshed = await world.take(target, undefined, { layout: later })
    ended.abort()
    t.strictSame(await missed, [], `${what}: what was there stayed there`)
    t.match(refreshed, { reused: false, activation: { digest, repaired: true, previous: null } }, what)
    t.strictSame(listTree(folder), whole, `${what}: it is whole again`)
    t.match(await findRelease(later, digest), { digest }, `${what}: and trusted`)
    t.strictSame(listTree(layout.staging), [], `${what}: staging is clean`)
    await world.take(target) // the next one begins in the boot that the rest of the test is in
  }
})

await test('a manifest that is lost, cut or forged vouches for nothing', async (t) => {
  const world = await createWorld(t)
  const { layout } = world
  const target = world.publish(tree)
  const { digest } = target
  await world.take(target)
  const evil = 'an evil server\n'
  const forge = (manifest: string) => {
    writeFileSync(join(releasePath(layout, digest), 'server.js'), evil)
    const hash = execFileSync('sha256sum', [join(releasePath(layout, digest), 'server.js')], { encoding: 'utf8' })
    return manifest.replace(/(\["server\.js","file",false,)\d+,"[0-9a-f]+"/, `$1${evil.length},"${hash.slice(0, 64)}"`)
  }
  const cases: readonly (readonly [string, (text: string) => string | undefined])[] = [
    ['lost', () => undefined],
    ['cut', (text) => text.slice(0, -20)],
    ['empty', () => ''],
    ['forged with the file', forge],
    ['nonsense', () => '{}\nnull\n["a"]\n'],
  ]
  for (const [what, change] of cases) {
    await makeManifest(layout, digest)
    const path = manifestPath(layout, digest)
    const text = change(readFileSync(path, 'utf8'))
    if (text === undefined) unlinkSync(path)
    else writeFileSync(path, text)
    const later = rebooted(layout)
    t.equal(await findRelease(later, digest), undefined, what)
    t.match(await world.take(target, undefined, { layout: later }), { reused: false }, `${what}: it is fetched again`)
    await world.take(target)
  }
})

await test('a start leaves current on a trusted release or on none, and the next refresh brings it again', async (t) => {
  const world = await createWorld(t)
  const { layout } = world
  const [old, target] = [world.publish(packed(file('server.js', 'old'), endMark)), world.publish(tree)]
  const lone = world.publish(packed(file('server.js', 'lone'), endMark))
  for (const one of [lone, old, target]) await world.take(one)
  for (const one of [old, target]) await makeManifest(layout, one.digest)
  const second = rebooted(layout)
  t.equal(await recoverVolume(second), undefined)
  t.equal(await readCurrent(second), target.digest, 'verified again, and left alone')
  t.ok(existsSync(releasePath(layout, old.digest)), 'what may be of use is kept')
  t.not((await readRecord(second, old.digest))?.boot, readFileSync(second.bootId, 'utf8').trim(), 'and not read yet')
  t.notOk(existsSync(releasePath(layout, lone.digest)), 'what nothing could vouch for goes')

  writeFileSync(join(releasePath(layout, target.digest), 'server.js'), '')
  t.equal(await recoverVolume(second), undefined, 'in the same boot nothing is read again')
  const third = rebooted(layout)
  t.match(await recoverVolume(third), {
    reason: 'drift',
    detail: 'changed',
    message: /^the release sha256:.* is not what was verified \(changed\): first at "server\.js"/,
  })
  t.equal(await readCurrent(third), null)
  t.equal(await recoverVolume(third), undefined, 'it is said once')
  t.ok(existsSync(releasePath(third, target.digest)), 'a process may still read it')
  t.match(await world.take(target, undefined, { layout: third }), {
    reused: false,
    activation: { id: 4, repaired: true },
  })
  t.equal(readFileSync(join(layout.workspace, 'current/server.js'), 'utf8'), 'content of server.js\n')

  t.match(await world.take(old, undefined, { layout: third }), { reused: true }, 'by its manifest')
  rmSync(releasePath(layout, old.digest), { recursive: true })
  t.match(await recoverVolume(third), { detail: 'missing', message: /there is no folder/ })
  t.match(await readActivation(third), { digest: old.digest }, 'the id is kept, so the next activation is a new one')
})

await test('a release that cannot be brought again is not left half trusted', async (t) => {
  const world = await createWorld(t)
  const target = world.publish(tree)
  await world.take(target)
  const later = rebooted(world.layout)
  const damaged = join(releasePath(later, target.digest), 'server.js')
  writeFileSync(damaged, 'damaged')
  world.routes.set(new URL(target.artifactUrl).pathname, tree.subarray(0, 100))
  t.match(await reasonOf(world.take(target, undefined, { layout: later })), { reason: 'checksum' })
  t.equal(readFileSync(damaged, 'utf8'), 'damaged')
  t.equal(await findRelease(later, target.digest), undefined)
  t.equal(await readCurrent(later), target.digest, 'what serves goes on')
})
