// The command as it is typed: help, wrong usage, configuration, keys. No control is needed.
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { cliExitCodes } from '@aether/contract/exit-codes'
import { test } from 'tap'
import { version } from './basics/version.ts'
import { run } from './test-run.ts'

const shop = { 'package.json': '{"name":"shop"}' }
// A port that nothing listens on.
const nowhere = 'http://127.0.0.1:9'

await test('help teaches each command with examples, and the version is that of the package', async (t) => {
  const cwd = t.testdir()
  const says = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await run(t, args, { cwd })
    t.match({ code, stderr }, { code: 0, stderr: '' }, args.join(' '))
    return stdout
  }
  t.equal(await says('--version'), `${version}\n`)
  for (const file of ['package.json', '../package.json'])
    t.match(readFileSync(new URL(file, import.meta.url), 'utf8'), `"version": "${version}"`)
  const names = ['pack', 'convert', 'deploy', 'dev', 'status', 'list', 'rollback', 'stop', 'logs']
  for (const name of [...names, 'keys generate', 'keys add', 'apps create', 'apps list'])
    t.match(
      await says(...name.split(' '), '--help'),
      new RegExp(`^Usage: aether ${name}[^]*\\nExamples:\\n.*\\n  aether ${name}`),
    )
})

await test('wrong usage ends with 2, says what is wrong and where to read on', async (t) => {
  const cwd = t.testdir({ app: { 'package.json': '{}' }, empty: {} })
  const rows: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /no command was named/],
    [['keys'], /no command was named[^]*aether keys --help/],
    [['deploi'], /unknown command 'deploi'.*deploy/],
    [['deploy', '--dev-hott'], /unknown option '--dev-hott'.*--dev-hot\?.*\n.*aether deploy --help/],
    [['deploy', 'a', 'b'], /too many arguments/],
    [['keys', 'add', 'shop'], /missing required argument 'file'/],
    [['list', '--output', 'yaml'], /--output is "yaml"\n.*write text or json/],
    [['deploy', 'app', '--replicas', '1.5'], /--replicas is "1.5"\n.*whole number from 0 to/],
    [['deploy', 'app', '--port', '0'], /--port is "0"/],
    [['deploy', 'app', '--env', 'hunter2'], /--env has a value that is no NAME=VALUE/],
    [['deploy', 'app', '--app', 'Shop!'], /app \(--app\) is "Shop!"/],
    [['deploy', 'app', '--ready-path', 'x'], /ready path \(--ready-path\)/],
    [['deploy', 'app', '--url', 'ftp://x'], /URL of control \(--url\) is neither http nor https/],
    [['deploy', 'app'], /the app has no name.*\n.*--app NAME/],
    [['deploy', 'empty'], /empty has no package\.json\n.*aether deploy \.\/services/],
    [['pack', 'nowhere'], /nowhere has no package\.json/],
    [['apps', 'create', '-x-'], /unknown option/],
    [['apps', 'create', '1shop'], /"1shop" is no name for an app/],
    [['rollback', 'shop', '--to', 'latest'], /--to is "latest"\n.*sha256: and 64/],
    [['logs', 'shop', '--since', 'noon'], /--since is "noon"/],
    [['logs', 'shop', '--output', 'json'], /logs has no JSON form/],
  ]
  const ran = await Promise.all(rows.map(async ([args, says]) => ({ args, says, ...(await run(t, args, { cwd })) })))
  for (const { args, says, code, stdout, stderr } of ran) {
    t.equal(code, cliExitCodes.usage, args.join(' '))
    t.match(stderr, says)
    t.match(stderr, /\nnext: /)
    t.notMatch(stderr + (args.includes('json') ? '' : stdout), /hunter2|\n +at /)
  }
})

await test('a fault in the environment or a file ends with 10 and names it, never a secret', async (t) => {
  const secret = 'hunter2-hunter2-hunter2'
  const project = (content: object) => ({ 'package.json': '{"name":"shop"}', '.aether.json': JSON.stringify(content) })
  const user = (content: object | string) => ({
    config: { aether: { 'config.json': typeof content === 'string' ? content : JSON.stringify(content) } },
  })
  type Folder = NonNullable<Parameters<typeof t.testdir>[0]>
  const rows: readonly (readonly [Folder, Readonly<Record<string, string>>, RegExp])[] = [
    [{ ...shop }, { AETHER_TOKN: secret }, /the environment has AETHER_TOKN, which no part of aether knows/],
    [{ ...shop }, { AETHER_URL: 'control:8480' }, /URL of control \(AETHER_URL\) is neither/],
    [{ ...shop }, { AETHER_URL: `http://u:${secret}@h/` }, /AETHER_URL\) carries credentials.*AETHER_TOKEN/],
    [{ ...shop }, { AETHER_NAMESPACE: 'A B' }, /namespace \(AETHER_NAMESPACE\) is "A B"/],
    [
      { ...shop },
      { AETHER_SIGNING_KEY: `-----BEGIN ${secret}` },
      /signing key \(AETHER_SIGNING_KEY\) is not an ed25519/,
    ],
    [{ ...shop }, { AETHER_SIGNING_KEY: secret }, /signing key \(AETHER_SIGNING_KEY\) cannot be read/],
    [
      { ...shop },
      { AETHER_SIGNING_KEY: './no.pem' },
      /signing key \.\/no\.pem \(AETHER_SIGNING_KEY\) cannot be read: ENOENT/,
    ],
    [project({ urll: 'x' }), {}, /\.aether\.json has a field "urll", which is not known\n.*app, namespace, url/],
    [project({ token: secret }), {}, /\.aether\.json has a field "token"/],
    [project({ port: '80' }), {}, /\.aether\.json: port is not a number/],
    [project({ port: 8.5 }), {}, /port is 8\.5/],
    [project({ app: 'My App' }), {}, /app \(.*\.aether\.json\) is "My App"/],
    [{ ...shop, '.aether.json': '[]' }, {}, /\.aether\.json is not a JSON object/],
    [{ ...shop, ...user(`{"token": "${secret}",}`) }, {}, /config\.json is not JSON/],
    [{ ...shop, ...user({ namespace: 'x' }) }, {}, /config\.json has a field "namespace"/],
    [{ 'package.json': '{' }, {}, /package\.json is not JSON/],
  ]
  const root = t.testdir(Object.fromEntries(rows.map(([folder], at) => [String(at), folder])))
  for (const [at, [, env, says]] of rows.entries()) {
    const cwd = join(root, String(at))
    const ran = await run(t, ['pack'], { cwd, env: { XDG_CONFIG_HOME: join(cwd, 'config'), ...env } })
    t.equal(ran.code, cliExitCodes.config, ran.stderr)
    t.match(ran.stderr, says)
    t.notMatch(ran.stdout + ran.stderr, secret)
  }
})

await test("a token of the user's file does not go where the folder of an app says", async (t) => {
  const cwd = t.testdir({
    'package.json': '{"name":"shop"}',
    '.aether.json': JSON.stringify({ url: 'http://127.0.0.1:9/' }),
    config: { aether: { 'config.json': JSON.stringify({ url: 'https://aether.example', token: 'hunter2' }) } },
  })
  const env = { XDG_CONFIG_HOME: join(cwd, 'config') }
  const refused = await run(t, ['list'], { cwd, env })
  t.equal(refused.code, cliExitCodes.config)
  t.match(
    refused.stderr,
    /asks for http:\/\/127\.0\.0\.1:9, and the token of .*config\.json is for https:\/\/aether\.example/,
  )
  t.match(refused.stderr, /warning: .*config\.json holds a secret and can be read by others: chmod 600/)
  chmodSync(join(cwd, 'config/aether/config.json'), 0o600)
  const meant = await run(t, ['list'], { cwd, env: { ...env, AETHER_URL: nowhere } })
  t.equal(meant.code, cliExitCodes.network, 'said by the user')
  t.notMatch(meant.stderr, 'warning')
})

await test('control that is down ends with 40, the URL, where it comes from and how to go on; as JSON too', async (t) => {
  const cwd = t.testdir({ '.aether.json': JSON.stringify({ url: nowhere }) })
  const text = await run(t, ['list'], { cwd })
  t.match(text, { code: cliExitCodes.network, stdout: '' })
  t.match(
    text.stderr,
    /^error: control does not answer at http:\/\/127\.0\.0\.1:9\/ \(.*\.aether\.json\) \(ECONNREFUSED\)\nnext: start it .*AETHER_URL/,
  )
  const json = await run(t, ['list', '--output', 'json', '--url', 'http://127.0.0.1:9/control'], { cwd })
  t.equal(json.code, cliExitCodes.network)
  t.match(json.json(), {
    error: { kind: 'network', code: 'ECONNREFUSED', message: /127\.0\.0\.1:9\/control\/ \(--url\)/, next: /start it/ },
  })
  t.match((await run(t, ['list', '--debug'], { cwd })).stderr, /\n +at /, 'the stack where it is asked for')

  const strange = createServer((socket) => socket.end('SSH-2.0-strange\r\n'))
  t.teardown(() => strange.close())
  await new Promise<void>((resolve) => strange.listen(0, '127.0.0.1', resolve))
  const address = strange.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  t.match(await run(t, ['list', '--url', `http://127.0.0.1:${port}`], { cwd }), { code: cliExitCodes.network })
})

await test('a pair is made once, its private half for the owner alone, and never overwritten', async (t) => {
  const cwd = t.testdir()
  const made = await run(t, ['keys', 'generate', '--out', 'keys'], { cwd })
  t.match(made, { code: 0, stdout: /aether apps create NAME --key .*create secret generic aether-keys/s })
  const [secret, shared] = [join(cwd, 'keys/aether-signing.pem'), join(cwd, 'keys/aether-signing.pub.pem')]
  t.strictSame([statSync(secret).mode & 0o777, statSync(shared).mode & 0o777], [0o600, 0o644])
  const before = readFileSync(secret, 'utf8')
  t.match(before, /^-----BEGIN PRIVATE KEY-----/)
  t.notMatch(made.stdout + made.stderr, before.split('\n')[1] ?? '-')
  const again = await run(t, ['keys', 'generate', '--out', 'keys'], { cwd })
  t.match(again, { code: cliExitCodes.io, stderr: /aether-signing\.pem is there already[^]*never overwritten/ })
  t.equal(readFileSync(secret, 'utf8'), before)

  mkdirSync(join(cwd, 'half'))
  writeFileSync(join(cwd, 'half/aether-signing.pub.pem'), 'theirs')
  const half = await run(t, ['keys', 'generate', '--out', 'half', '--output', 'json'], { cwd })
  t.match(half.json(), { error: { kind: 'io', message: /pub\.pem is there already/ } })
  t.throws(() => statSync(join(cwd, 'half/aether-signing.pem')), 'no half of a pair is left')

  const wrong = await run(t, ['keys', 'add', 'shop', secret], { cwd, env: { AETHER_URL: nowhere } })
  t.match(
    wrong,
    { code: cliExitCodes.failed, stderr: /holds a private key: give the public one/ },
    'and it is not sent',
  )
})
