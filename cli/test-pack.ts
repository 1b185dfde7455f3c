// For tests of `aether pack`: a small app, and the command as a process with what npm needs here.
import { readdirSync } from 'node:fs'
import { isObject } from '@aether/contract/json'
import type { Test } from 'tap'
import { run } from './test-run.ts'

export const app = { 'package.json': '{"name":"shop"}', 'server.js': '// serves\n' }

// How npm reaches its registry from here.
export const npmEnv = Object.fromEntries(
  Object.entries(process.env).flatMap(([name, value]) =>
    value !== undefined &&
    /^(?:HOME|NODE_EXTRA_CA_CERTS|SSL_CERT_\w+|npm_config_\w+|https?_proxy|no_proxy)$/i.test(name)
      ? [[name, value]]
      : [],
  ),
)

/** What the command left in its folder for temporary files. */
export function leftIn(folder: string): readonly string[] {
  return readdirSync(folder).filter((name) => name.startsWith('aether-'))
}

export async function packJson(t: Test, folder: string, ...args: readonly string[]): Promise<Record<string, unknown>> {
  const ran = await run(t, ['pack', folder, '--output', 'json', ...args], { cwd: folder, env: npmEnv })
  t.equal(ran.code, 0, ran.stderr)
  const value = ran.json()
  return isObject(value) ? value : {}
}
