// The token for control is seen by control's origin alone, whatever annotations and redirects say.

import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { createControlToken } from '@aether/runtime/control-token'
import { type Test, test } from 'tap'
import { createArtifactServer, createWorld, digestOf, reasonOf, refuses } from './test-kit.ts'
import { entry } from './test-tar.ts'

const release = (text: string) => gzipSync(Buffer.concat([entry({ name: 'a.txt' }, text), Buffer.alloc(1024)]))

function createToken(t: Test, url: string) {
  // A second testdir would wipe the one of the volume.
  const folder = mkdtempSync(join(tmpdir(), 'token-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const tokenFile = join(folder, 'token')
  writeFileSync(tokenFile, 'secret-1\n')
  const warnings: string[] = []
  return {
    authorize: createControlToken({ url, tokenFile }, { warn: (_, message) => warnings.push(message) }),
    warnings,
    renew(token: string) {
      writeFileSync(`${tokenFile}.new`, token)
      renameSync(`${tokenFile}.new`, tokenFile)
    },
    remove: () => rmSync(tokenFile),
  }
}

await test('scheme, host and port decide, as the parser of URLs understands them', async (t) => {
  const plain = createToken(t, 'http://Control.Example/aether').authorize
  const cases: readonly (readonly [string, boolean])[] = [
    ['http://control.example/artifacts/x', true],
    ['http://control.example:80/', true],
    ['HTTP://CONTROL.EXAMPLE/x?y#z', true],
    ['http://control.example\\x', true],
    ['https://control.example/', false],
    ['https://control.example:80/', false],
    ['http://control.example:8080/', false],
    ['http://control.example./', false],
    ['http://sub.control.example/', false],
    ['http://control.example.evil.test/', false],
    ['http://control.example@evil.test/', false],
    ['http://evil.test\\@control.example/', false],
    ['http://evil.test/http://control.example/', false],
    ['http://evil.test#control.example', false],
    ['http://me:pass@control.example/', false],
    ['ws://control.example/', false],
    ['file:///control.example', false],
    ['control.example', false],
    ['', false],
  ]
  for (const [url, isGiven] of cases) t.equal(await plain(url), isGiven ? 'Bearer secret-1' : undefined, url)
})

await test('an address in a form of its own is the same origin, and https on its default port too', async (t) => {
  const { authorize } = createToken(t, 'https://127.0.0.1')
  for (const url of ['https://127.1:443/', 'https://0x7f000001/', 'https://2130706433/x'])
    t.equal(await authorize(url), 'Bearer secret-1', url)
  for (const url of [
    'http://127.0.0.1:443/',
    'https://127.0.0.2/',
    'https://localhost/',
    'https://[::ffff:127.0.0.1]/',
  ])
    t.equal(await authorize(url), undefined, url)
})

await test('a missing token is one warning, and is used from when it is there', async (t) => {
  const token = createToken(t, 'http://control.example')
  token.remove()
  const ask = () => token.authorize('http://control.example/')
  t.same([await ask(), await ask()], [undefined, undefined])
  t.same(token.warnings, ['control is asked without a token'])
  token.renew('secret-2')
  t.equal(await ask(), 'Bearer secret-2')
})

async function createServers(t: Test) {
  const world = await createWorld(t)
  const elsewhere = await createArtifactServer(t)
  const token = createToken(t, world.url(''))
  const seen: string[] = []
  /** What came with each request, by a name for its server. */
  const note =
    (name: string, answer: (request: IncomingMessage, response: ServerResponse) => void) =>
    (request: IncomingMessage, response: ServerResponse) => {
      seen.push(`${name} ${request.headers.authorization ?? 'nothing'}`)
      answer(request, response)
    }
  const send = (bytes: Uint8Array) => (_: IncomingMessage, response: ServerResponse) => void response.end(bytes)
  const redirect = (to: string) => (_: IncomingMessage, response: ServerResponse) =>
    void response.writeHead(307, { location: to }).end()
  const take = (bytes: Uint8Array, path: string) =>
    world.take(world.ask(digestOf(bytes), path), undefined, { authorize: token.authorize })
  return { world, elsewhere, token, seen, note, send, redirect, take }
}

await test('control gets it; another port, and a redirect to one, do not; on the way back it is shown again', async (t) => {
  const { world, elsewhere, seen, note, send, redirect, take } = await createServers(t)
  const [one, two, three] = [release('one'), release('two'), release('three')]
  world.routes.set('/one', note('control', send(one)))
  await take(one, '/one')
  elsewhere.routes.set('/two', note('elsewhere', send(two)))
  await take(two, elsewhere.url('/two'))
  t.same(seen.splice(0), ['control Bearer secret-1', 'elsewhere nothing'])

  world.routes.set('/start', note('control', redirect(elsewhere.url('/away'))))
  elsewhere.routes.set('/away', note('elsewhere', redirect(world.url('/back'))))
  world.routes.set('/back', note('control', redirect('/there')))
  world.routes.set('/there', note('control', redirect(world.url('/three').replace('127.0.0.1', 'localhost'))))
  world.routes.set('/three', note('by another name', send(three)))
  await take(three, '/start')
  t.same(seen, [
    'control Bearer secret-1',
    'elsewhere nothing',
    'control Bearer secret-1',
    'control Bearer secret-1',
    'by another name nothing',
  ])
})

await test('without a credential of its own a refresh sends none', async (t) => {
  const { world, seen, note, send } = await createServers(t)
  const one = release('one')
  world.routes.set('/one', note('control', send(one)))
  await world.take(world.ask(digestOf(one), '/one'))
  t.same(seen, ['control nothing'])
})

await test('a 401 has the token read again and asked once more, where one was sent', async (t) => {
  const { world, elsewhere, token, seen, note, send, take } = await createServers(t)
  const one = release('one')
  const renewed = note('control', (request, response) => {
    token.renew('secret-2')
    if (request.headers.authorization === 'Bearer secret-2') send(one)(request, response)
    else response.writeHead(401).end('no')
  })
  world.routes.set('/one', renewed)
  await take(one, '/one')
  t.same(seen.splice(0), ['control Bearer secret-1', 'control Bearer secret-2'])

  const refuse = (_: IncomingMessage, response: ServerResponse) => void response.writeHead(401).end('x'.repeat(100_000))
  world.routes.set('/no', note('control', refuse))
  elsewhere.routes.set('/no', note('elsewhere', refuse))
  const two = release('two')
  await refuses(t, world, () => take(two, '/no'), 'download', 'forbidden', /^(?!.*secret).*401/)
  await refuses(t, world, () => take(two, elsewhere.url('/no')), 'download', 'forbidden', /401/)
  t.same(seen, ['control Bearer secret-2', 'control Bearer secret-2', 'elsewhere nothing'])
})

await test('http and https on one port are two origins', async (t) => {
  const seen: (string | undefined)[] = []
  const server = createServer((request, response) => {
    seen.push(request.headers.authorization)
    response.writeHead(404).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new TypeError('no port')
  const { world } = await createServers(t)
  const { authorize } = createToken(t, `https://127.0.0.1:${address.port}`)
  const target = world.ask(digestOf(release('one')), `http://127.0.0.1:${address.port}/x`)
  t.match(await reasonOf(world.take(target, undefined, { authorize })), { detail: 'not_found' })
  t.same(seen, [undefined])
})
