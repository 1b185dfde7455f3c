// For tests of aether dev: it as a process, with its lines as records, and what it leaves behind.
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isObject } from '@aether/contract/json'
import type { Test } from 'tap'
import { eventually, startControl } from '../test-control.ts'
import { type Running, run, start } from '../test-run.ts'

const shop = { 'package.json': '{"name":"shop"}', 'server.js': '// 1\n' }

/** Started with JSON lines, and through its first deploy. */
export async function startDev(
  t: Test,
  folder: string,
  env: Readonly<Record<string, string>>,
  ...more: readonly string[]
) {
  const running = start(t, ['dev', '--hot', '--no-logs', '--output', 'json', ...more], { cwd: folder, env })
  let seen = 0
  const next = async () => {
    seen += 1
    await eventually(() => recordsOf(running).length >= seen, running.output)
    return recordsOf(running)[seen - 1] ?? {}
  }
  await next()
  return { running, next, last: () => recordsOf(running).at(-1) ?? {}, count: () => recordsOf(running).length }
}

export function recordsOf(running: Running): readonly Record<string, unknown>[] {
  return running
    .output()
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line): unknown => JSON.parse(line))
    .filter(isObject)
}

export function part(value: unknown, name: string): Record<string, unknown> {
  const found = isObject(value) ? value[name] : undefined
  return isObject(found) ? found : {}
}

export function write(folder: string, name: string, text: string): void {
  mkdirSync(join(folder, name, '..'), { recursive: true })
  writeFileSync(join(folder, name), text)
}

/** Names below the temporary and the state folder of a world. */
export function leftIn(folder: string): readonly string[] {
  return ['../tmp', '../state/aether'].flatMap((name) => {
    try {
      return readdirSync(join(folder, name)).filter((one) => one.startsWith('aether-') || one.endsWith('.lock'))
    } catch {
      return []
    }
  })
}

/** The app `shop` in a folder, a control that knows it, and the environment of who develops it. */
export async function world(
  t: Test,
  files: Readonly<Record<string, string>> = {},
  settings: Readonly<Record<string, string>> = {},
) {
  const home = t.testdir({ app: shop, data: {}, tmp: {}, home: {} })
  const folder = join(home, 'app')
  for (const [name, text] of Object.entries(files)) write(folder, name, text)
  const data = join(home, 'data')
  const control = await startControl(t, data, settings)
  const env = {
    ...npmEnv(),
    HOME: join(home, 'home'),
    AETHER_URL: control.url,
    AETHER_TOKEN: control.token,
    TMPDIR: join(home, 'tmp'),
    XDG_STATE_HOME: join(home, 'state'),
  }
  t.match(await run(t, ['apps', 'create', 'shop'], { cwd: folder, env }), { code: 0 })
  return { folder, env, control, data }
}

/** What npm needs besides. */
function npmEnv(): Readonly<Record<string, string>> {
  return { npm_config_offline: 'true', npm_config_update_notifier: 'false' }
}

export async function statusOf(t: Test, folder: string, env: Readonly<Record<string, string>>): Promise<unknown> {
  const ran = await run(t, ['status', 'shop', '--output', 'json'], { cwd: folder, env })
  return ran.code === 0 ? part(ran.json(), 'deployment').digest : undefined
}
