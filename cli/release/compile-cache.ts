// V8's compile cache of an app, for its release: the app is started once, in a copy of the tree, as `npm start` would, and ended
// when it listens. Its portable form is found at any path, by the same Node on the same kind of processor
// (docs/adr/0013-compile-cache.md).
import { constants } from 'node:fs'
import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { isObject } from '@aether/contract/json'
import { compileCachePath } from '@aether/contract/layout'
import { Failure } from '../basics/failure.ts'
import { lastLines, missingProgram, runGroup } from '../basics/run-program.ts'
import type { Env } from '../basics/settings.ts'
import { withoutNpm } from './install.ts'

export interface CompileCacheOptions {
  readonly env: Env
  readonly signal: AbortSignal
  readonly warn: (text: string) => void
}

export interface CompileCache {
  /** Of Node, the architecture, and what V8 makes of the processor and its flags. */
  readonly version: string
  readonly files: number
}

/** For an app that never listens: what it loaded until then. */
const listenMs = 10_000
/** For what an app loads just after. */
const settleMs = 200
const mostMs = listenMs + 10_000

/** `tree` is the whole release; `work` is an empty folder beside it. */
export async function addCompileCache(tree: string, work: string, options: CompileCacheOptions): Promise<CompileCache> {
  const { signal, warn } = options
  const [target, copy, preload] = [join(tree, compileCachePath), join(work, 'copy'), join(work, 'preload.cjs')]
  await rm(target, { recursive: true, force: true })
  // A copy, because an app may write where it stands.
  await cp(tree, copy, { recursive: true, verbatimSymlinks: true, mode: constants.COPYFILE_FICLONE })
  const made = join(copy, compileCachePath)
  await writeFile(preload, preloadSource(made))
  const { how, lines } = await startOnce(await startCommand(copy), copy, preload, options)
  signal.throwIfAborted()
  const [version = '', ...others] = await readdir(made).catch(() => [])
  const files = version === '' ? [] : await readdir(join(made, version))
  if (files.length === 0 || others.length > 0)
    throw new Failure('runtime', `the app made no compile cache when it was started (${how})`, {
      detail: lines.slice(-20),
      next: 'see whether it starts where you pack: npm start; or pack without --compile-cache',
    })
  // Such as v24.18.1-x64-310b2ce3-1000.
  if (!/^v[\w.]+-[a-z0-9]+-[0-9a-f]{8}$/.test(version))
    throw new Failure('runtime', `Node ${process.version} writes a compile cache that only the same user finds`, {
      next: 'pack with Node 26.10 or later, or without --compile-cache',
    })
  if (how !== 'ended by us')
    warn(
      `the app ended by itself (${how}): the compile cache has what it loaded until then\n${lines.slice(-5).join('\n')}`,
    )
  await mkdir(dirname(target), { recursive: true })
  await rename(made, target)
  return { version, files: files.length }
}

/** As npm does it; where there is no script, as the supervisor does. */
async function startCommand(folder: string): Promise<readonly string[]> {
  const manifest: unknown = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
  const { scripts, main } = isObject(manifest) ? manifest : {}
  if (isObject(scripts) && typeof scripts.start === 'string') return ['sh', '-c', scripts.start]
  return [process.execPath, typeof main === 'string' ? main : 'server.js']
}

async function startOnce(
  [file = '', ...args]: readonly string[],
  cwd: string,
  preload: string,
  { env, signal }: CompileCacheOptions,
): Promise<{ readonly how: string; readonly lines: readonly string[] }> {
  const group = { cwd, env: environment(env, cwd, preload), limitMs: mostMs, signal }
  const { result, endRest } = await runGroup(file, args, group)
  endRest()
  if (result.code === 'ENOENT') throw missingProgram(file, 'pack where there is a POSIX shell', result.cause)
  // A shell in front says 128 and the signal.
  const isOurs = result.signal === 'SIGKILL' || result.exitCode === 128 + 9
  return { how: isOurs ? 'ended by us' : `exit code ${result.exitCode ?? result.signal}`, lines: lastLines(result.all) }
}

/** Neither our own secrets, nor another cache. */
function environment(env: Env, folder: string, preload: string): Env {
  const kept = Object.entries(withoutNpm(env)).filter(([name]) => !/^AETHER_|^NODE_.*COMPILE_CACHE/.test(name))
  const path = [join(folder, 'node_modules/.bin'), dirname(process.execPath), env.PATH].join(delimiter)
  return { ...Object.fromEntries(kept), PATH: path, PORT: '0', NODE_OPTIONS: `--require ${JSON.stringify(preload)}` }
}

/** In the app's process: killed, because its own end could take long, or do something. */
function preloadSource(directory: string): string {
  return `'use strict'
const nodeModule = require('node:module')
if (require('node:worker_threads').isMainThread) {
  delete process.env.NODE_OPTIONS
  nodeModule.enableCompileCache({ directory: ${JSON.stringify(directory)}, portable: true })
  let left = ${listenMs}
  let isListening = false
  setInterval(() => {
    left -= 20
    if (!isListening && process.getActiveResourcesInfo().includes('TCPServerWrap')) {
      isListening = true
      left = ${settleMs}
    }
    if (left > 0) return
    nodeModule.flushCompileCache()
    process.kill(process.pid, 'SIGKILL')
  }, 20).unref()
}
`
}
