// The process: its configuration, its tokens, its first start with nothing configured, and its end.
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigError } from '@aether/runtime/config'
import { freePort, startProcess, testFolder } from '@aether/runtime/test-process'
import { test } from 'tap'
import { loadConfig } from './config.ts'
import { parseTokens } from './tokens.ts'

const main = join(import.meta.dirname, 'main.ts')
const token = 'a'.repeat(32)

await test('with nothing configured there is a whole service on this machine', (t) => {
  const config = loadConfig(['--control-data-dir', '/data'], { AETHER_CONTROL_PORT: 'tcp://10.0.0.1:8480' })
  t.match(config, {
    host: '127.0.0.1',
    port: 8480,
    publicUrl: 'http://127.0.0.1:8480',
    dataDir: '/data',
    targetsDir: '/data/targets',
    databaseUrl: undefined,
    tokens: undefined,
    cluster: 'none',
    namespace: 'default',
    allNamespaces: false,
    syncTimeoutMs: 120_000,
    podFetchMode: 'watch',
    keysSecret: 'aether-keys',
    warnings: [],
  })
  t.match(loadConfig([], { AETHER_PUBLIC_URL: 'https://control.example/base/', AETHER_TARGETS_DIR: '/t' }), {
    publicUrl: 'https://control.example/base',
    targetsDir: '/t',
  })
  t.end()
})

await test('every fault of the configuration is named at once, and no secret is shown', (t) => {
  const error = t.throws(
    () =>
      loadConfig([], {
        AETHER_API_TOKENS: 'hunter2:admin:me',
        DATABASE_URL: 'mysql://user:hunter2@db',
        AETHER_PUBLIC_URL: 'https://user:hunter2@control',
        AETHER_CONTROL_LISTEN_PORT: 'tcp://1',
        AETHER_CLUSTER: 'swarm',
      }),
    ConfigError,
  )
  t.match(error, {
    faults: [
      /^AETHER_CONTROL_LISTEN_PORT/,
      /^AETHER_PUBLIC_URL \(--public-url\): write it without credentials/,
      /^DATABASE_URL \(--database-url\): write postgres:/,
      /^AETHER_API_TOKENS \(--api-tokens\): entry 1 has a token of 7 characters: use at least 16/,
      /^AETHER_CLUSTER.*none, kubernetes/,
    ],
  })
  t.notMatch(String(error), 'hunter2')
  t.end()
})

await test('tokens are read strictly, kept as sha256, and repeated in no message', (t) => {
  t.match(parseTokens(`${token}:admin:ann, ${'b'.repeat(16)}:uploader:ci@build`), [
    { sha256: '3ba3f5f43b92602683c19aee62a20342b084dd5971ddd33808d81a328879a547', role: 'admin', user: 'ann' },
    { role: 'uploader', user: 'ci@build' },
  ])
  for (const [text, says] of [
    ['', /^entry 1 is not token:role:user/],
    [token, /^entry 1 is not token:role:user/],
    [`${token}:admin`, /^entry 1 is not/],
    [`${token}:admin:`, /^entry 1 is not/],
    [`${token}:admin:a:b`, /^entry 1 is not/],
    [`${token}:admin:a,`, /^entry 2 is not/],
    [`${token}:root:a`, /^entry 1 has an unknown role: write one of admin, deployer, uploader, reader/],
    [`${token}:Admin:a`, /unknown role/],
    [`${token.slice(1, 16)}:admin:a`, /^entry 1 has a token of 15 characters/],
    [`${token} ${token}:admin:a`, /no header can hold/],
    [`${token}:admin:a b`, /^entry 1 has a user/],
    [`${token}:admin:a,${token}:reader:b`, /^two entries have the same token/],
  ] as const) {
    const error = t.throws(() => parseTokens(text), { message: says }, text)
    t.notMatch(String(error), token.slice(1, 16))
  }
  t.end()
})

await test('a first start makes an admin, shows where its token is, and a second one takes it over', async (t) => {
  const folder = testFolder(t)
  const port = await freePort()
  const env = { AETHER_CONTROL_DATA_DIR: folder, AETHER_CONTROL_LISTEN_PORT: String(port), AETHER_LOG_LEVEL: 'debug' }
  const path = join(folder, 'admin-token')
  const ask = (shown: string) =>
    fetch(`http://127.0.0.1:${port}/apps`, { headers: { authorization: `Bearer ${shown}` } })

  const first = startProcess(t, main, env)
  await first.line('"listening"')
  t.match(await first.line('admin-token'), JSON.stringify(path))
  t.equal(statSync(path).mode & 0o777, 0o600)
  const made = readFileSync(path, 'utf8').trim()
  t.match(made, /^[0-9a-f]{64}$/)
  t.equal((await ask(made)).status, 200)
  t.match(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text(), 'aether_build_info{agent="control"')
  first.kill('SIGTERM')
  t.equal(await first.exited, 0)
  t.notMatch(first.lines.join('\n'), made)

  const second = startProcess(t, main, { ...env, AETHER_API_TOKENS: `${token}:reader:ann` })
  await second.line('"listening"')
  t.equal((await ask(made)).status, 401, 'revoked by the configured ones')
  t.equal((await ask(token)).status, 200)
  second.kill('SIGTERM')
  t.equal(await second.exited, 0)

  writeFileSync(path, 'short\n')
  const third = startProcess(t, main, env)
  t.equal(await third.exited, 1)
  t.match(third.lines.join('\n'), `${path} holds no token: remove it`)
})
