import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { metrics } from '@aether/contract/metric-names'
import { type Test, test } from 'tap'
import { syncFolder, writeFileAtomic } from './atomic-file.ts'
import { ConfigError, createConfigReader, HelpAsked } from './config.ts'
import { createHealthServer, type Readiness } from './health.ts'
import { createCounter, createGauge, createHistogram, createRegistry, setBuildInfo } from './metrics.ts'
import { startProcess } from './test-process.ts'
import { watchFolder } from './watch-folder.ts'

function read(argv: readonly string[], env: Record<string, string>) {
  const reader = createConfigReader('agent', 'does things.', argv, env)
  const config = {
    app: reader.text('AETHER_APP', 'app', 'Name.'),
    readyPath: reader.optionalText('AETHER_READY_PATH', 'Path.'),
    port: reader.integer('PORT', 8080, { min: 1, max: 65_535 }, 'Port.'),
    supervised: reader.boolean('AETHER_SUPERVISED', false, 'Waits.'),
    level: reader.choice('AETHER_LOG_LEVEL', ['info', 'error'], 'info', 'Level.'),
  }
  return { ...config, ...reader.finish() }
}

await test('settings come from flags, then the environment, then the defaults', async (t) => {
  const defaults = {
    app: 'app',
    readyPath: undefined,
    port: 8080,
    supervised: false,
    level: 'info',
    warnings: [],
    rest: [],
  }
  t.strictSame(read([], {}), defaults)
  const env = {
    AETHER_APP: 'shop',
    AETHER_READY_PATH: '/up',
    PORT: '1',
    AETHER_SUPERVISED: 'true',
    AETHER_LOG_LEVEL: 'error',
  }
  t.match(read([], env), { app: 'shop', readyPath: '/up', port: 1, supervised: true, level: 'error' })
  t.match(read(['--app', 'flag', '--port=2', '--supervised', 'false'], env), {
    app: 'flag',
    port: 2,
    supervised: false,
    level: 'error',
  })
  t.match(read(['--supervised', '--port', '3', 'rest', '--', '--port'], {}), {
    supervised: true,
    port: 3,
    rest: ['rest', '--port'],
  })
  t.strictSame(read([], { AETHER_APP: '', PORT: '', AETHER_SUPERVISED: '' }), defaults, 'empty is not set')
})

await test('one error lists every fault, each with its name, its flag, its value and what to write', async (t) => {
  const env = { PORT: '65536', AETHER_SUPERVISED: 'yes', AETHER_LOG_LEVEL: 'loud' }
  const error = t.throws(() => read(['--nonsense', '--app', 'x'], env), ConfigError)
  t.match(error, {
    message: /^the configuration has 4 faults:\n {2}/,
    faults: [
      'PORT (--port) is "65536": write a whole number from 1 to 65535',
      'AETHER_SUPERVISED (--supervised) is "yes": write true or false',
      'AETHER_LOG_LEVEL (--log-level) is "loud": write one of info, error',
      '--nonsense is no flag of agent: see agent --help',
    ],
  })
  for (const wrong of ['0', '-1', '1.5', '1e3', '0x10', ' 1', 'NaN', '9'.repeat(20)])
    t.throws(() => read([], { PORT: wrong }), { message: /^the configuration has a fault:\n.*PORT/ }, wrong)
})

await test('--help names every setting with its flag, its default and its meaning, also beside faults', async (t) => {
  const help = t.throws(() => read(['--help', '--port', 'x'], {}), HelpAsked)
  t.match(help, { text: /^agent: does things\.\n/ })
  t.match(help, { text: '  --app TEXT, AETHER_APP (default app)\n      Name.\n' })
  t.match(help, { text: '  --log-level info|error, AETHER_LOG_LEVEL (default info)\n' })
  t.throws(() => read(['-h'], {}), HelpAsked)
})

await test('an unknown AETHER_ name is one warning; what Kubernetes injects and what others read is none', async (t) => {
  const quiet = {
    AETHER_PUBKEY: 'read by another process of the suite',
    AETHER_CONTROL_PORT: 'tcp://1.2.3.4:80',
    AETHER_CONTROL_PORT_80_TCP: 'tcp://1.2.3.4:80',
    AETHER_CONTROL_PORT_80_TCP_ADDR: '1.2.3.4',
    AETHER_CONTROL_SERVICE_HOST: '1.2.3.4',
    AETHER_CONTROL_SERVICE_PORT: '80',
    AETHER_CONTROL_SERVICE_PORT_HTTP: '80',
    HOME: '/root',
  }
  t.strictSame(read([], quiet).warnings, [])
  const { warnings } = read([], { ...quiet, AETHER_READY_PAHT: '/up', AETHER_NEXT_YEAR: '1' })
  t.match(warnings, [/^AETHER_READY_PAHT is not known/, /^AETHER_NEXT_YEAR/])
})

await test('a registry shows counters, gauges and histograms with all of their labels', async (t) => {
  const registry = createRegistry()
  setBuildInfo(registry, metrics.buildInfo, 'fetcher')
  const failures = createCounter(registry, metrics.refreshFailureTotal)
  failures.inc({ app: 'a', reason: 'download', commit: '' })
  failures.inc({ app: 'a', reason: 'key', commit: 'old' }, 2)
  failures.remove({ app: 'a', reason: 'key', commit: 'old' })
  createGauge(registry, metrics.refreshConsecutiveFailures).set({ app: 'a' }, 3)
  createHistogram(registry, metrics.refreshLatencySeconds, [0.1, 1]).observe({ app: 'a' }, 0.5)
  const text = await registry.metrics()
  t.match(text, /^aether_build_info\{agent="fetcher",version="\d+\.\d+\.\d+",node="[\d.]+"\} 1$/m)
  t.match(text, /^dev_hot_refresh_failure_total\{app="a",reason="download",commit=""\} 1$/m)
  t.notMatch(text, 'commit="old"')
  t.match(text, /^dev_hot_refresh_consecutive_failures\{app="a"\} 3$/m)
  t.match(text, /^dev_hot_refresh_latency_seconds_bucket\{le="1",app="a"\} 1$/m)
  t.match(text, /^process_cpu_seconds_total /m)
  t.notMatch(text, /^# TYPE \S+_total gauge/m, 'no gauge has the name of a counter')
})

await test('the health server answers /livez, /readyz and /metrics, and nothing else', async (t) => {
  let readiness: () => Readiness | Promise<Readiness> = () => ({ ready: false, message: 'no release yet' })
  const health = createHealthServer({
    port: 0,
    host: '127.0.0.1',
    registry: createRegistry(),
    readiness: () => readiness(),
  })
  t.equal(health.address(), '')
  await health.start()
  t.teardown(() => health.stop())
  const get = async (path: string, method = 'GET') => {
    const response = await fetch(`${health.address()}${path}`, { method })
    return { status: response.status, type: response.headers.get('content-type'), body: await response.text() }
  }
  t.match(await get('/livez'), { status: 200, body: 'alive\n' })
  t.match(await get('/livez?verbose'), { status: 200 })
  t.match(await get('/readyz'), { status: 503, body: 'no release yet\n' })
  readiness = async () => ({ ready: true, message: 'serving' })
  t.match(await get('/readyz'), { status: 200, body: 'serving\n' })
  readiness = () => Promise.reject(new Error('the app is gone'))
  t.match(await get('/readyz'), { status: 503, body: 'the app is gone\n' })
  t.match(await get('/metrics'), { status: 200, type: /^text\/plain; version=/, body: /process_start_time_seconds/ })
  t.match(await get('/'), { status: 404, body: /livez/ })
  t.match(await get('/metrics/'), { status: 404 })
  t.match(await get('/livez', 'HEAD'), { status: 200, body: '' })
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) t.match(await get('/livez', method), { status: 405 })
  const second = createHealthServer({
    port: Number(new URL(health.address()).port),
    host: '127.0.0.1',
    registry: createRegistry(),
    readiness,
  })
  await t.rejects(async () => second.start(), { code: 'EADDRINUSE' }, 'a port that is taken is told')
})

await test('stopping the health server does not wait for connections that are kept alive', async (t) => {
  const health = createHealthServer({
    port: 0,
    host: '127.0.0.1',
    registry: createRegistry(),
    readiness: () => ({ ready: true, message: '' }),
  })
  await health.start()
  await (await fetch(`${health.address()}/livez`)).text()
  await health.stop()
  t.equal(health.address(), '')
})

await test('parts start in order and stop in the opposite one, at SIGTERM and at SIGINT', async (t) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const child = startParts(t, '')
    await child.line('started c')
    child.kill(signal)
    t.equal(await child.exited, 0)
    t.strictSame(
      child.lines.filter((line) => !line.startsWith('{')),
      ['started a', 'started b', 'started c', 'stopped c', 'stopped b', 'stopped a', signal],
    )
  }
})

await test('a part that cannot start ends the run, and what was started is stopped', async (t) => {
  const child = startParts(t, 'b')
  t.equal(await child.exited, 1)
  t.strictSame(
    child.lines.filter((line) => /^(started|stopped)/.test(line)),
    ['started a', 'stopped a'],
  )
  t.match(child.lines.join('\n'), /parts: Error: b cannot start/)
})

await test('a stray error of a library is logged and survived', async (t) => {
  const child = startParts(t, 'stray')
  await child.line('"uncaught error"')
  await child.line('"unhandled rejection"')
  child.kill('SIGTERM')
  t.equal(await child.exited, 0)
})

await test('a file is replaced whole, or left as it was with nothing beside it', async (t) => {
  const folder = t.testdir({ 'state.json': 'old', locked: { folder: {} } })
  const path = join(folder, 'state.json')
  await writeFileAtomic(path, 'new')
  t.equal(readFileSync(path, 'utf8'), 'new')
  await Promise.all(Array.from({ length: 20 }, (_, n) => writeFileAtomic(path, `${n}`.repeat(1000))))
  t.match(readFileSync(path, 'utf8'), /^(\d+)\1*$/, 'of many at once one wins')
  await t.rejects(writeFileAtomic(join(folder, 'locked/folder'), 'x'), { code: 'EISDIR' })
  await t.rejects(writeFileAtomic(join(folder, 'none/file'), 'x'), { code: 'ENOENT' })
  t.strictSame(readdirSync(join(folder, 'locked')), ['folder'])
  t.strictSame(readdirSync(folder).toSorted(), ['locked', 'state.json'])
  await t.rejects(syncFolder(join(folder, 'none')), { code: 'ENOENT' })
})

await test('a folder that is watched is looked at on each change, also where it comes later', async (t) => {
  const folder = join(t.testdir(), 'later')
  let seen = ''
  const { promise, resolve } = Promise.withResolvers<void>()
  const watching = watchFolder(folder, 20, async () => {
    try {
      seen = readFileSync(join(folder, 'file'), 'utf8')
    } catch {
      return // not there yet
    }
    if (seen === 'second') resolve()
  })
  t.teardown(() => watching.close())
  mkdirSync(folder)
  writeFileSync(join(folder, 'file'), 'first')
  writeFileSync(join(folder, 'file'), 'second')
  await promise
  t.equal(seen, 'second')
})

/** A process of three parts; the named one cannot start, `stray` throws beside them. */
function startParts(t: Test, trouble: string) {
  const url = (name: string) => new URL(name, import.meta.url).href
  const folder = t.testdir({
    'parts.mjs': `
      import { runCommand } from '${url('./command.ts')}'
      import { createLog } from '${url('./log.ts')}'
      import { runParts } from '${url('./parts.ts')}'
      const part = (name) => ({
        name,
        start() {
          if (name === '${trouble}') throw new Error(name + ' cannot start')
          console.log('started', name)
        },
        stop: () => console.log('stopped', name),
      })
      if ('${trouble}' === 'stray') setTimeout(() => { Promise.reject(new Error('one')); throw new Error('two') }, 50)
      const stay = setInterval(() => {}, 1000)
      await runCommand('parts', async () => {
        console.log(await runParts(['a', 'b', 'c'].map(part), createLog('parts', 'info')))
        clearInterval(stay)
        return 0
      })
    `,
  })
  return startProcess(t, join(folder, 'parts.mjs'), {})
}
