// init-fetch as a process: one pass, an exit code for each reason, and the reason in the termination message.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { annotations } from '@aether/contract/annotations'
import { layoutOf } from '@aether/contract/layout'
import { formatPodinfo } from '@aether/contract/podinfo'
import { type Reason, reasons } from '@aether/contract/reasons'
import { readActivation, readCurrent, releasePath } from '@aether/release/activate'
import { writeManifest } from '@aether/release/manifest'
import { amendRecord, readRecord } from '@aether/release/record'
import { createSlices } from '@aether/release/slices'
import { createArtifactServer, createSigner, digestOf } from '@aether/release/test-kit'
import { entry } from '@aether/release/test-tar'
import { publishTree } from '@aether/release/test-trees'
import { loadTree } from '@aether/release/tree-store'
import { startProcess, testFolder } from '@aether/runtime/test-process'
import { type Test, test } from 'tap'

const never = new AbortController().signal
const main = fileURLToPath(new URL('main.ts', import.meta.url))

async function createWorld(t: Test) {
  const root = testFolder(t, { data: {}, 'termination-log': '' })
  const layout = layoutOf(join(root, 'data'))
  const server = await createArtifactServer(t)
  const signer = createSigner()
  const bytes = gzipSync(Buffer.concat([entry({ name: 'server.js' }, 'one'), Buffer.alloc(1024)]))
  const digest = digestOf(bytes)
  server.routes.set('/one', bytes)
  const good = {
    [annotations.digest]: digest,
    [annotations.artifactUrl]: server.url('/one'),
    [annotations.signature]: signer.sign(digest),
  }
  function start(all: Readonly<Record<string, string>>, env: Readonly<Record<string, string>> = {}) {
    writeFileSync(join(root, 'annotations'), formatPodinfo(all))
    const process = startProcess(t, main, {
      AETHER_ARTIFACT_ADDRESSES: 'any',
      AETHER_DATA_DIR: layout.root,
      AETHER_ANNOTATIONS_FILE: join(root, 'annotations'),
      AETHER_TERMINATION_LOG: join(root, 'termination-log'),
      AETHER_PUBKEY: signer.publicPem,
      ...env,
    })
    const left = (): unknown => JSON.parse(readFileSync(join(root, 'termination-log'), 'utf8') || '{}')
    return { process, left }
  }
  return {
    layout,
    server,
    sign: signer.sign,
    good,
    digest,
    start,
    async run(all: Readonly<Record<string, string>>, env: Readonly<Record<string, string>> = {}) {
      const { process, left } = start(all, env)
      return { code: await process.exited, left: left(), lines: process.lines }
    },
  }
}

await test('brings the release of the annotations, and downloads nothing when it is there already', async (t) => {
  const world = await createWorld(t)
  t.equal((await world.run(world.good)).code, 0)
  t.equal(await readCurrent(world.layout), world.digest)
  t.equal((await world.run(world.good)).code, 0)
  t.equal(world.server.asked.length, 1)
  t.match(await readActivation(world.layout), { id: 1, digest: world.digest, previous: null })
})

await test('each reason has its exit code, and is left where Kubernetes shows it', async (t) => {
  const world = await createWorld(t)
  const missing: Record<string, string> = { ...world.good }
  delete missing[annotations.signature]
  const cases: readonly (readonly [Reason, Readonly<Record<string, string>>, RegExp])[] = [
    ['target', {}, /annotate its template/],
    ['target', { ...world.good, [annotations.digest]: 'sha256:1' }, /aether\.dev\/digest/],
    ['signature', missing, /aether\.dev\/signature is missing/],
    ['signature', { ...world.good, [annotations.signature]: '1'.repeat(128) }, /does not hold/],
    ['download', { ...world.good, [annotations.artifactUrl]: world.server.url('/none') }, /404/],
    ['download', { ...world.good, [annotations.artifactUrl]: 'http://127.0.0.1:1/one' }, /cannot be reached/],
  ]
  for (const [reason, all, message] of cases) {
    const { code, left, lines } = await world.run(all)
    t.equal(code, reasons[reason].exitCode, reason)
    t.match(left, { reason, message })
    t.ok(lines.some((line) => line.startsWith(`REFRESH_FAIL app=app reason=${reason} ms=`)))
    t.equal(await readCurrent(world.layout), null)
    t.same(reason === 'target' ? [] : readdirSync(world.layout.lock), [], 'the volume is free again')
  }
})

await test('a server that comes some moments after the pod is waited for, and one that has no such artifact is not', async (t) => {
  const { server, run, good, layout, digest } = await createWorld(t)
  const bytes = server.routes.get('/one')
  const comesAs = (status: number) =>
    server.routes.set('/one', (_request, response) => {
      response.writeHead(status, { 'retry-after': '2' }).end()
      if (bytes !== undefined && server.asked.length === 2) server.routes.set('/one', bytes)
    })
  comesAs(404)
  t.equal((await run(good)).code, reasons.download.exitCode)
  t.equal(server.asked.length, 1)
  comesAs(503)
  const began = performance.now()
  const { code, lines } = await run(good)
  t.ok(performance.now() - began > 2_000, 'not before the server wants it')
  t.equal(code, 0)
  t.equal(await readCurrent(layout), digest)
  t.equal(server.asked.length, 3)
  t.ok(lines.some((line) => /"reason":"download".*answers 503; it is tried again/.test(line)))
  t.notOk(
    lines.some((line) => line.startsWith('REFRESH_FAIL')),
    'one attempt, one end',
  )
})

await test('the end of the pod ends a download that hangs, and leaves nothing behind', async (t) => {
  const { server, start, good, layout } = await createWorld(t)
  const begun = Promise.withResolvers<void>()
  server.routes.set('/one', (_request, response) => {
    response.writeHead(200).write('x')
    begun.resolve()
  })
  const { process, left } = start(good)
  await begun.promise
  process.kill('SIGTERM')
  t.equal(await process.exited, reasons.download.exitCode)
  t.match(left(), { reason: 'download', message: /was ended \(SIGTERM\)/ })
  t.equal(await readCurrent(layout), null)
  t.same(readdirSync(layout.staging), [])
})

await test('where a pod may begin without a release, no target is no failure, and a target that is wrong still is', async (t) => {
  const world = await createWorld(t)
  const { code, lines } = await world.run({}, { AETHER_NO_TARGET: 'start' })
  t.equal(code, 0)
  t.match(lines.join('\n'), /the app waits for the first one/)
  t.ok(existsSync(world.layout.workspace), 'which is what the app mounts')
  t.same(readdirSync(world.layout.lock), [])
  const broken = { ...world.good, [annotations.digest]: 'sha256:1' }
  t.equal((await world.run(broken, { AETHER_NO_TARGET: 'start' })).code, reasons.target.exitCode)
  t.equal((await world.run(world.good, { AETHER_NO_TARGET: 'start' })).code, 0)
  t.equal(await readCurrent(world.layout), world.digest)
})

await test('a key that may not be trusted, and a wrong setting, are said before anything is asked for', async (t) => {
  const world = await createWorld(t)
  const weak = await world.run(world.good, { AETHER_PUBKEY: `01${'00'.repeat(31)}` })
  t.equal(weak.code, reasons.key.exitCode)
  t.match(weak.lines.join('\n'), /AETHER_PUBKEY holds a key of small or mixed order/)
  const short = await world.run(world.good, { AETHER_PUBKEY: 'abcd' })
  t.equal(short.code, reasons.key.exitCode)
  t.match(short.lines.join('\n'), /a key of 2 bytes: an ed25519 public key has 32/)
  const wrong = await world.run(world.good, { AETHER_REQUIRE_SIGNATURE: 'maybe', AETHER_MAX_ENTRIES: 'many' })
  t.equal(wrong.code, 2)
  t.match(wrong.lines.join('\n'), /2 faults[^]*AETHER_REQUIRE_SIGNATURE[^]*AETHER_MAX_ENTRIES/)
  t.equal(world.server.asked.length, 0)
})

await test('after a reboot the app is not started on a release that nothing vouches for', async (t) => {
  const world = await createWorld(t)
  const { layout, digest, good, server } = world
  t.equal((await world.run(good)).code, 0)
  const record = await readRecord(layout, digest)
  if (record === undefined) throw new Error('no record')
  const path = join(releasePath(layout, digest), 'server.js')
  writeFileSync(path, '\0\0\0')
  await amendRecord(layout, { ...record, boot: 'another boot' })

  const bytes = server.routes.get('/one')
  server.routes.delete('/one')
  const failed = await world.run(good)
  t.equal(failed.code, reasons.download.exitCode)
  t.equal(await readCurrent(layout), null, 'the artifact cannot be fetched, and what is there is not served')
  if (bytes !== undefined) server.routes.set('/one', bytes)
  t.equal((await world.run(good)).code, 0)
  t.equal(readFileSync(path, 'utf8'), 'one')
  t.equal(await readCurrent(layout), digest)

  const manifest = await writeManifest(layout, digest, createSlices(Number.POSITIVE_INFINITY, never))
  await amendRecord(layout, { ...record, manifest, boot: 'another boot' })
  const asked = server.asked.length
  const { code, lines } = await world.run(good)
  t.equal(code, 0)
  t.equal(server.asked.length, asked, 'by its manifest it is taken as it is')
  t.match(await readRecord(layout, digest), { boot: record.boot })
  t.notMatch(lines.join('\n'), 'not what was verified')

  writeFileSync(path, 'eno')
  await amendRecord(layout, { ...record, manifest, boot: 'another boot' })
  const mended = await world.run(good)
  t.equal(mended.code, 0)
  t.match(mended.lines.join('\n'), /is not what was verified \(changed\): first at/)
  t.equal(readFileSync(path, 'utf8'), 'one')
})

await test('a new pod takes a tree whole, and leaves what the fetcher needs to ask for what changes', async (t) => {
  const { layout, server, run, sign } = await createWorld(t)
  const [app, store] = [join(t.testdirName, 'app'), join(t.testdirName, 'store')]
  for (const folder of [app, store]) mkdirSync(folder)
  writeFileSync(join(app, 'server.js'), 'one')
  const tree = await publishTree(server.routes, app, store)
  const { code } = await run({
    [annotations.digest]: tree.digest,
    [annotations.artifactUrl]: server.url(tree.path),
    [annotations.signature]: sign(tree.digest),
  })
  t.equal(code, 0)
  t.equal(await readCurrent(layout), tree.digest)
  t.equal(readFileSync(join(releasePath(layout, tree.digest), 'server.js'), 'utf8'), 'one')
  t.ok(await loadTree(layout, tree.digest), 'its objects')
  t.strictSame([readdirSync(layout.staging), readdirSync(layout.standby)], [[], []])
})
