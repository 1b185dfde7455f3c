// The tree of an app's folder, as `aether deploy` brings it: of the folder where it lies, with what is known of it since the deploy
// before; or of a copy, where the app or its modules are run on the way.
//  1 modules: those that are kept, or a new install
//  2 tree: what did not change is not read
//  3 kept modules that are not as they were installed are installed anew, and the tree is built again
import { realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createIncrementalTree } from '@aether/artifact/incremental-tree'
import { signDigest } from '@aether/artifact/sign'
import { type BuiltTree, buildTree } from '@aether/artifact/tree-build'
import { readSource } from '@aether/artifact/tree-source'
import { digestFromHex } from '@aether/contract/digest'
import { readCommit } from '../basics/commit.ts'
import type { TreeRelease } from '../control/send-tree.ts'
import { refuseEscape } from '../release/clean-copy.ts'
import { loadIgnoreRules } from '../release/ignore-rules.ts'
import { fingerprintOf, installKept, modulesOf } from '../release/kept-modules.ts'
import { loadPackKey, type PackOptions, prepareApp, toPackFailure } from '../release/pack-app.ts'
import type { Project } from '../release/project.ts'
import { readProject } from '../release/project-source.ts'
import { type DeployCache, openDeployCache } from './deploy-cache.ts'
import type { PackedFacts } from './pack-command.ts'

export interface BuiltRelease extends PackedFacts, TreeRelease {}

interface Built {
  readonly tree: BuiltTree
  readonly compileCache: PackedFacts['compileCache']
  readonly ms: { readonly install: number; readonly compileCache: number }
}

/** `fullCheck` believes nothing of what is kept: it installs anew and reads every file. */
export async function buildRelease<T>(
  project: Project,
  options: PackOptions,
  fullCheck: boolean,
  use: (release: BuiltRelease) => Promise<T>,
): Promise<T> {
  const started = performance.now()
  const { output, signal } = options
  const key = await loadPackKey(options)
  const commit = await readCommit(project.folder, options)
  const finish = async ({ tree, compileCache, ms }: Built): Promise<T> => {
    output.transient('')
    signal.throwIfAborted()
    const digest = digestFromHex(tree.digest)
    return use({
      tree,
      digest,
      bytes: tree.bytes,
      entries: tree.entries,
      signature: key === undefined ? null : signDigest(digest, key),
      commit,
      compileCache,
      ms: { ...ms, pack: Math.round(performance.now() - started - ms.install - ms.compileCache) },
    })
  }
  // What runs on the way may write where it stands.
  const runsCode = options.compileCache || options.allowScripts
  const folder = await realpath(project.folder)
  const cache = runsCode ? undefined : await openDeployCache(folder, options.env)
  if (cache === undefined)
    return prepareApp(project, options, async ({ tree: copy, compileCache, ms }) => {
      output.transient('packing ...')
      return finish({ tree: await buildTree(readSource(copy)).catch(toPackFailure), compileCache, ms })
    })
  try {
    // The kept modules are read once more when they are sent, so the cache is let go of after that.
    return await finish(await buildKept(project, folder, cache, options, fullCheck))
  } finally {
    await cache.close()
  }
}

async function buildKept(
  project: Project,
  folder: string,
  cache: DeployCache,
  options: PackOptions,
  fullCheck: boolean,
): Promise<Built> {
  const { output, signal } = options
  const state = await cache.load()
  const known = createIncrementalTree(state.files)
  const isIgnored = await loadIgnoreRules(folder, !options.install)
  // 1
  const installing = performance.now()
  const isInstalled = options.install && project.hasDependencies
  const wanted = isInstalled ? await fingerprintOf(folder, isIgnored) : null
  const isKept = !fullCheck && wanted === state.install && (await isThere(cache.installed))
  if (isInstalled && !isKept) await installKept(project, cache.installed, options)
  let installMs = performance.now() - installing
  // 2
  const build = async () => {
    output.transient('packing ...')
    const { entries, links } = readProject(folder, isIgnored, isInstalled ? cache.installed : undefined)
    const built = await known.build(entries, { readAll: fullCheck }).catch(toPackFailure)
    for (const path of links) await refuseEscape(folder, join(folder, path))
    signal.throwIfAborted()
    return built
  }
  let tree = await build()
  // 3
  if (isInstalled && isKept && modulesOf(tree) !== state.modules) {
    const again = performance.now()
    await installKept(project, cache.installed, options)
    installMs += performance.now() - again
    tree = await build()
  }
  await cache.save({ install: wanted, modules: isInstalled ? modulesOf(tree) : null, files: known.known() })
  return { tree, compileCache: null, ms: { install: Math.round(installMs), compileCache: 0 } }
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
