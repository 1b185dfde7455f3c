// The release as `aether dev` keeps it between saves: what changed is copied, and modules are installed anew only where a
// package.json, the lockfile or .npmrc did.
import { createHash } from 'node:crypto'
import { mkdir, readFile, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { createIncrementalTree, type NextTree } from '@aether/artifact/incremental-tree'
import { nameOf } from '@aether/artifact/tree-name'
import { readSource } from '@aether/artifact/tree-source'
import { errnoOf } from '../basics/failure.ts'
import type { Env } from '../basics/settings.ts'
import { refuseEscapes } from '../release/clean-copy.ts'
import { loadIgnoreRules } from '../release/ignore-rules.ts'
import { installModules } from '../release/install.ts'
import { toPackFailure } from '../release/pack-app.ts'
import { loadProject } from '../release/project.ts'
import { createFolderSync, type Synced } from '../release/sync-folder.ts'
import { installedMarks } from './dev-watch.ts'

export interface DevTreeOptions {
  readonly env: Env
  readonly signal: AbortSignal
  /** Otherwise node_modules is taken as it is. */
  readonly install: boolean
  readonly allowScripts: boolean
  readonly warn: (text: string) => void
}

export interface DevTree {
  readonly path: string
  /**
   * Takes what changed in the folder. Modules that are taken as they are are looked into where npm or pnpm says that it wrote
   * them, or where it is a whole look: they are most of the files, and hardly ever what was saved.
   */
  sync(isWhole: boolean): Promise<Synced>
  /** Whether the last look was not into all of it. */
  owesLook(): boolean
  /** What it has from the folder. */
  paths(): Iterable<string>
  /** Refuses new symlinks that lead out of the folder. */
  checkLinks(): Promise<void>
  needsInstall(): Promise<boolean>
  install(): Promise<void>
  /** All of it as a tree, of which what did not change is not read. */
  build(): Promise<NextTree>
}

const manifests = new Set(['package.json', 'package-lock.json', 'npm-shrinkwrap.json'])

export async function createDevTree(folder: string, work: string, options: DevTreeOptions): Promise<DevTree> {
  const { env, signal, install, allowScripts, warn } = options
  const path = join(work, 'app') // as in pack-app.ts
  await mkdir(path)
  const copy = createFolderSync(folder, path)
  let installed: string | undefined
  let isInstalling = false
  let hasNewLinks = false
  let lookedAt: string | undefined
  let owesLook = false
  const built = createIncrementalTree()
  // With all that they lie in.
  const written = new Set<string>()
  const touch = (name: string) => {
    for (let at = name; at !== '.'; at = dirname(at)) written.add(nameOf(at))
  }

  /** Of all that decides what is installed. */
  const fingerprint = async (): Promise<string> => {
    const hash = createHash('sha256')
    const add = async (name: string, file: string) => {
      const text = await readFile(file).catch((error: unknown) => {
        if (errnoOf(error) === 'ENOENT') return Buffer.alloc(0)
        throw error
      })
      hash.update(`${name}\0${text.length}\0`).update(text)
    }
    const names = [...copy.paths()].filter((name) => manifests.has(basename(name))).toSorted()
    for (const name of names) await add(name, join(path, name))
    await add('.npmrc', join(folder, '.npmrc'))
    return hash.digest('hex')
  }

  return {
    path,
    paths: copy.paths,
    async sync(isWhole) {
      const marks = install ? '' : await stampsOf(folder, installedMarks)
      const isPassing = !install && !isWhole && marks === lookedAt
      const rules = await loadIgnoreRules(folder, !install)
      owesLook = isPassing
      const synced = await copy.run(rules, signal, isPassing ? 'node_modules' : undefined)
      lookedAt = marks
      hasNewLinks ||= synced.hasNewLinks
      for (const name of [...synced.changed, ...synced.folders]) touch(name)
      return synced
    },
    owesLook: () => owesLook,
    async checkLinks() {
      if (hasNewLinks) await refuseEscapes(path)
      hasNewLinks = false
    },
    needsInstall: async () => install && (await fingerprint()) !== installed,
    async install() {
      const wanted = await fingerprint()
      // Where it fails, the modules are no longer whole.
      installed = undefined
      // All below it, which is not named here, is new.
      isInstalling = true
      await rm(join(path, 'node_modules'), { recursive: true, force: true })
      const isIgnored = await loadIgnoreRules(folder, false)
      const keepNpmrc = !isIgnored('.npmrc')
      await installModules(await loadProject(folder), path, { env, signal, allowScripts, keepNpmrc, warn })
      await refuseEscapes(path)
      installed = wanted
    },
    async build() {
      const isUntouched = (name: string) =>
        !written.has(name) && !(isInstalling && /(?:^|\/)node_modules(?:\/|$)/.test(name))
      const next = await built.build(readSource(path), { isUntouched }).catch(toPackFailure)
      written.clear()
      isInstalling = false
      return next
    },
  }
}

/** Of the files of those names that are there: whoever writes one changes it. */
async function stampsOf(folder: string, names: Iterable<string>): Promise<string> {
  const stamps: string[] = []
  for (const name of names) {
    const found = await stat(join(folder, name), { bigint: true }).catch(() => undefined)
    if (found !== undefined) stamps.push(`${name} ${found.size} ${found.mtimeNs} ${found.ctimeNs} ${found.ino}`)
  }
  return stamps.join('\n')
}
