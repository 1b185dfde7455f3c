// From a folder to a signed artifact: clean copy -> install (-> compile cache) -> archive or tree -> signature, in a folder of its own that goes away.
import type { KeyObject } from 'node:crypto'
import { mkdir, mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PackError, type Packed, packFolder } from '@aether/artifact/pack'
import { signDigest } from '@aether/artifact/sign'
import { TreeError } from '@aether/artifact/tree-error'
import type { StoreFile } from '@aether/artifact/tree-store'
import { readCommit } from '../basics/commit.ts'
import { Failure } from '../basics/failure.ts'
import type { Output } from '../basics/output.ts'
import type { Env, Settings } from '../basics/settings.ts'
import { loadSigningKey } from '../basics/signing.ts'
import { copyClean, refuseEscapes } from './clean-copy.ts'
import { addCompileCache, type CompileCache } from './compile-cache.ts'
import { installModules } from './install.ts'
import { packTree, type TreeOptions } from './pack-tree.ts'
import type { Project } from './project.ts'

export interface PackOptions {
  readonly env: Env
  readonly signal: AbortSignal
  readonly output: Output
  readonly signingKey: Settings['signingKey']
  readonly install: boolean
  readonly allowScripts: boolean
  readonly compileCache: boolean
  /** Where the artifact is left; otherwise it goes with the folder when `use` has ended. */
  readonly out?: string
  /** A tree, in place of an archive. */
  readonly tree?: TreeOptions
}

export interface PackedApp extends Packed {
  /** All files of a tree. */
  readonly store?: readonly StoreFile[]
  readonly signature: string | null
  readonly commit: string | null
  readonly compileCache: CompileCache | null
  readonly ms: { readonly install: number; readonly compileCache: number; readonly pack: number }
}

/** What a release is made of, in a folder of its own that goes away when `use` has ended. */
export interface PreparedApp {
  readonly tree: string
  readonly work: string
  readonly compileCache: CompileCache | null
  readonly ms: { readonly install: number; readonly compileCache: number }
}

export async function prepareApp<T>(
  project: Project,
  options: PackOptions,
  use: (prepared: PreparedApp) => Promise<T>,
): Promise<T> {
  const { output, signal, env } = options
  const work = await realpath(await mkdtemp(join(tmpdir(), 'aether-pack-')))
  try {
    const tree = join(work, 'app') // always the same name: npm may write it down
    await mkdir(tree)
    const { isIgnored } = await copyClean(project.folder, tree, { withModules: !options.install, signal })
    await refuseEscapes(tree)
    const installing = performance.now()
    if (options.install) {
      if (project.hasDependencies) output.transient('installing the dependencies ...')
      const { allowScripts } = options
      const keepNpmrc = !isIgnored('.npmrc')
      await installModules(project, tree, { env, signal, allowScripts, keepNpmrc, warn: output.warn })
      await refuseEscapes(tree)
    }
    const installMs = performance.now() - installing
    signal.throwIfAborted()
    const starting = performance.now()
    const compileCache = options.compileCache ? await makeCompileCache(tree, work, options) : null
    const compileCacheMs = performance.now() - starting
    signal.throwIfAborted()
    const ms = { install: Math.round(installMs), compileCache: Math.round(compileCacheMs) }
    return await use({ tree, work, compileCache, ms })
  } finally {
    output.transient('')
    await rm(work, { recursive: true, force: true })
  }
}

/** A key that cannot be used shows before the work is done, not after. */
export async function loadPackKey({ signingKey, output }: PackOptions): Promise<KeyObject | undefined> {
  const key = signingKey && (await loadSigningKey(signingKey, output.warn))
  if (key === undefined) output.warn('AETHER_SIGNING_KEY is not set: the artifact is not signed')
  return key
}

export async function packApp<T>(
  project: Project,
  options: PackOptions,
  use: (packed: PackedApp) => Promise<T>,
): Promise<T> {
  const started = performance.now()
  const { output, signal } = options
  const key = await loadPackKey(options)
  const commit = await readCommit(project.folder, options)
  return prepareApp(project, options, async ({ tree, work, compileCache, ms }) => {
    output.transient('packing ...')
    const packed =
      options.tree === undefined
        ? await packFolder(tree, options.out ?? join(work, 'app.tar.gz')).catch(toPackFailure)
        : await packTree(tree, options.tree, output)
    output.transient('')
    signal.throwIfAborted()
    return use({
      ...packed,
      signature: key === undefined ? null : signDigest(packed.digest, key),
      commit,
      compileCache,
      ms: { ...ms, pack: Math.round(performance.now() - started - ms.install - ms.compileCache) },
    })
  })
}

async function makeCompileCache(
  tree: string,
  work: string,
  { env, signal, output }: PackOptions,
): Promise<CompileCache> {
  output.transient('starting the app for its compile cache ...')
  const folder = join(work, 'compile-cache')
  await mkdir(folder)
  const made = await addCompileCache(tree, folder, { env, signal, warn: output.warn })
  await refuseEscapes(tree)
  return made
}

export function toPackFailure(error: unknown): never {
  if (!(error instanceof PackError) && !(error instanceof TreeError)) throw error
  throw new Failure('failed', error.message, { cause: error, next: 'look into .aetherignore' })
}
