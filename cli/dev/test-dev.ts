// For tests of aether dev: it as a process, with its lines as records, and what it leaves behind.
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isObject } from '@aether/contract/json'
import type { Test } from 'tap'
import { eventually } from '../test-control.ts'
import { type Running, start } from '../test-run.ts'

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
