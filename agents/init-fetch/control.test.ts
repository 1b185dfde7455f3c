// init-fetch as a process of a pod that has a control service: what it starts with is control's to say.
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { annotations } from '@aether/contract/annotations'
import type { SelfTarget } from '@aether/contract/control-api'
import { layoutOf } from '@aether/contract/layout'
import { formatPodinfo } from '@aether/contract/podinfo'
import { reasons } from '@aether/contract/reasons'
import { readActivation, readCurrent } from '@aether/release/activate'
import { createArtifactServer, createSigner, digestOf } from '@aether/release/test-kit'
import { entry } from '@aether/release/test-tar'
import { createTestControl, type Route, status, target } from '@aether/runtime/test-control'
import { eventually, startProcess, testFolder } from '@aether/runtime/test-process'
import { type Test, test } from 'tap'

const main = fileURLToPath(new URL('main.ts', import.meta.url))

async function createWorld(t: Test) {
  const root = testFolder(t, { data: {}, 'termination-log': '', annotations: '', token: 'first\n' })
  const layout = layoutOf(join(root, 'data'))
  const server = await createArtifactServer(t)
  const control = await createTestControl(t)
  const signer = createSigner()
  function make(text: string): SelfTarget {
    const bytes = gzipSync(Buffer.concat([entry({ name: 'server.js' }, text), Buffer.alloc(1024)]))
    const digest = digestOf(bytes)
    server.routes.set(`/${text}`, bytes)
    return { digest, artifactUrl: server.url(`/${text}`), signature: signer.sign(digest), commit: 'abc1234' }
  }
  const old = make('old')
  writeFileSync(
    join(root, 'annotations'),
    formatPodinfo({
      [annotations.digest]: old.digest,
      [annotations.artifactUrl]: old.artifactUrl,
      [annotations.signature]: old.signature ?? '',
    }),
  )
  const left = (): unknown => JSON.parse(readFileSync(join(root, 'termination-log'), 'utf8') || 'null')
  return {
    layout,
    server,
    control,
    old,
    now: make('now'),
    make,
    left,
    /** As the kubelet does: by rename. */
    renew(token: string) {
      writeFileSync(join(root, 'token.new'), token)
      renameSync(join(root, 'token.new'), join(root, 'token'))
    },
    start: (env: Readonly<Record<string, string>> = {}) =>
      startProcess(t, main, {
        AETHER_ARTIFACT_ADDRESSES: 'any',
        AETHER_DATA_DIR: layout.root,
        AETHER_ANNOTATIONS_FILE: join(root, 'annotations'),
        AETHER_TERMINATION_LOG: join(root, 'termination-log'),
        AETHER_PUBKEY: signer.publicPem,
        AETHER_CONTROL_URL: `${control.url}/`,
        AETHER_CONTROL_TOKEN_FILE: join(root, 'token'),
        ...env,
      }),
  }
}

await test('a new pod starts with what control says, whatever its annotations say', async (t) => {
  const { control, layout, old, now, server, ...world } = await createWorld(t)
  control.onTarget(target(now))
  await control.start()
  t.equal(await world.start().exited, 0)
  t.match(await readActivation(layout), { id: 1, digest: now.digest, commit: 'abc1234' })
  t.same(server.asked, ['/now'], `the ${old.digest} of the template was not asked for`)
  t.strictSame(control.asked, [
    { route: 'GET /control/pods/self/target', authorization: 'Bearer first', body: undefined },
  ])
  t.equal(world.left(), null)

  const next = world.make('next')
  control.onTarget(target(next))
  t.equal(await world.start().exited, 0)
  t.match(await readActivation(layout), { id: 2, digest: next.digest }, 'asked anew by the next run on the volume')
  t.equal(await world.start().exited, 0)
  t.match(await readActivation(layout), { id: 2 }, 'the same answer again changes nothing')
  t.equal(control.asked.length, 3)
})

await test('control that is away is waited for, which is said once, and left where Kubernetes shows it', async (t) => {
  const { control, layout, now, ...world } = await createWorld(t)
  const process = world.start()
  await process.line('waiting for control, up to 300 s')
  t.match(world.left(), { reason: 'control', message: /waiting for control.*ECONNREFUSED/ })
  control.onTarget(status(503, { 'retry-after': '0' }))
  await control.start()
  await eventually('a question', () => control.asked.length > 0)
  control.onTarget(target(now))
  t.equal(await process.exited, 0)
  t.equal(await readCurrent(layout), now.digest)
  t.equal(process.lines.filter((line) => line.includes('waiting for control')).length, 1)
  t.equal(world.left(), null, 'nothing of the wait is left')
})

await test('after the longest wait it fails; with the fallback it goes on with the annotations and warns', async (t) => {
  const { control, layout, old, ...world } = await createWorld(t)
  const failed = world.start({ AETHER_CONTROL_WAIT_SEC: '1' })
  t.equal(await failed.exited, reasons.control.exitCode)
  t.match(world.left(), { reason: 'control', message: /no target in 1 s: .*ECONNREFUSED.*AETHER_CONTROL_URL/ })
  t.ok(failed.lines.some((line) => /^REFRESH_FAIL app=app reason=control .*detail=unreachable/.test(line)))
  t.equal(await readCurrent(layout), null, 'the old digest of the template is not served')

  control.onTarget(() => {})
  await control.start()
  const slow = world.start({ AETHER_CONTROL_WAIT_SEC: '1' })
  t.equal(await slow.exited, reasons.control.exitCode)
  t.match(world.left(), { message: /no target in 1 s: no answer in \d+ ms/ }, 'a control that is slow is no answer')

  await control.stop()
  const brave = world.start({ AETHER_CONTROL_WAIT_SEC: '0', AETHER_CONTROL_FALLBACK: 'annotations' })
  t.equal(await brave.exited, 0)
  t.equal(await readCurrent(layout), old.digest)
  t.match(await brave.line('which may be old'), '"level":40')
  t.equal(world.left(), null)
})

await test('what control refuses or mistakes is said at once, and the fallback does not overrule it', async (t) => {
  const { control, layout, now, ...world } = await createWorld(t)
  await control.start()
  const json =
    (text: string): Route =>
    (response) =>
      response.writeHead(200).end(text)
  const answer = (changes: Readonly<Record<string, unknown>>) =>
    json(
      JSON.stringify({ digest: now.digest, artifact_url: now.artifactUrl, signature: null, commit: null, ...changes }),
    )
  const cases: readonly (readonly [string, Route, RegExp])[] = [
    ['no_target', status(404), /wants no digest/],
    ['refused', status(403), /403/],
    ['refused', status(401), /aether-control/],
    ['refused', status(302, { location: `${control.url}/elsewhere` }), /302/],
    ['malformed', json('<html>'), /not JSON/],
    ['malformed', json('{}'), /digest is not a string/],
    ['malformed', answer({ digest: 'sha256:1' }), /control's digest/],
    ['malformed', answer({ artifact_url: 'https://me:secret@example.test/' }), /credentials/],
    ['malformed', answer({ artifact_url: 'file:///etc/passwd' }), /scheme/],
    ['malformed', json(' '.repeat(70_000)), /too large/],
  ]
  for (const [detail, route, message] of cases) {
    control.onTarget(route)
    const process = world.start({ AETHER_CONTROL_FALLBACK: 'annotations' })
    t.equal(await process.exited, reasons.control.exitCode, detail)
    t.match(world.left(), { reason: 'control', message })
    t.match(await process.line('REFRESH_FAIL'), `detail=${detail}`)
    t.notMatch(process.lines.join('\n'), /secret|Bearer/)
  }
  t.equal(await readCurrent(layout), null)
  t.notOk(
    control.asked.some(({ route }) => route.includes('elsewhere')),
    'a redirect is not followed',
  )
})

await test('a token that was renewed meanwhile is read again; without one it goes on and says so once', async (t) => {
  const { control, now, ...world } = await createWorld(t)
  await control.start()
  control.onTarget((response, asked) => {
    world.renew('second')
    if (asked.authorization === 'Bearer second') target(now)(response, asked)
    else status(401)(response, asked)
  })
  t.equal(await world.start().exited, 0)
  t.same(
    control.asked.map(({ authorization }) => authorization),
    ['Bearer first', 'Bearer second'],
  )
  control.onTarget(target(now))
  for (const token of ['', 'two words', 'x'.repeat(20_000)]) {
    world.renew(token)
    const process = world.start()
    t.equal(await process.exited, 0)
    t.match(control.asked.at(-1), { authorization: undefined })
    t.equal(process.lines.filter((line) => line.includes('without a token')).length, 1)
    t.notMatch(process.lines.join('\n'), /two words|xxxx/)
  }
})

await test('the end of the pod ends the wait', async (t) => {
  const world = await createWorld(t)
  const process = world.start({ AETHER_CONTROL_FALLBACK: 'annotations' })
  await process.line('waiting for control')
  process.kill('SIGTERM')
  t.equal(await process.exited, reasons.control.exitCode)
  t.match(world.left(), { message: /ended while waiting/ })
  t.equal(await readCurrent(world.layout), null)
})

await test('the artifact of control is fetched with the token, which goes nowhere else', async (t) => {
  const { control, now, layout, server, ...world } = await createWorld(t)
  await control.start()
  const bytes = server.routes.get('/now')
  const seen: (string | undefined)[] = []
  if (bytes === undefined || typeof bytes === 'function') throw new TypeError('no bytes')
  server.routes.set('/now', (request, response) => {
    seen.push(request.headers.authorization)
    response.writeHead(200).end(bytes)
  })
  control.routes.set('/control/artifacts/now', (response, { authorization }) =>
    authorization === 'Bearer first'
      ? response.writeHead(307, { location: now.artifactUrl }).end()
      : response.writeHead(401).end(),
  )
  control.onTarget(target({ ...now, artifactUrl: `${control.url}/artifacts/now` }))
  t.equal(await world.start().exited, 0)
  t.equal(await readCurrent(layout), now.digest)
  t.same(seen, [undefined], 'sent on to another port, it carried no token along')
})

await test('a control URL with credentials is refused without being repeated', async (t) => {
  const world = await createWorld(t)
  for (const url of ['http://me:hunter2@127.0.0.1', 'me:hunter2@127.0.0.1', 'http://127.0.0.1/?token=hunter2']) {
    const process = world.start({ AETHER_CONTROL_URL: url })
    t.equal(await process.exited, 2)
    t.match(process.lines.join('\n'), /AETHER_CONTROL_URL \(--control-url\)/)
    t.notMatch(process.lines.join('\n'), 'hunter2')
  }
})
