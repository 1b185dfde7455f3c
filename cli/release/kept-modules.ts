// The modules that `aether deploy` installed for a folder, kept until something changes that decides about them.
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { BuiltTree } from '@aether/artifact/tree-build'
import { readFolder } from '@aether/artifact/tree-folder'
import { pathBelow } from '@aether/artifact/tree-name'
import { errnoOf } from '../basics/failure.ts'
import { copyClean, refuseEscapes } from './clean-copy.ts'
import type { IsIgnored } from './ignore-rules.ts'
import { installModules } from './install.ts'
import type { PackOptions } from './pack-app.ts'
import type { Project } from './project.ts'

const manifests = new Set(['package.json', 'package-lock.json', 'npm-shrinkwrap.json'])

/** Of all that decides about the modules: 64 hex characters. */
export async function fingerprintOf(folder: string, isIgnored: IsIgnored): Promise<string> {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch} ${process.version}\0`)
  const add = async (path: string): Promise<void> => {
    const text = await readFile(join(folder, path)).catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return Buffer.alloc(0)
      throw error
    })
    hash.update(`${path}\0${text.length}\0`).update(text)
  }
  const walk = async (path: string): Promise<void> => {
    const entries = await readdir(join(folder, path), { withFileTypes: true })
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const below = join(path, entry.name)
      if (isIgnored(entry.isDirectory() ? `${below}/` : below)) continue
      if (entry.isDirectory()) await walk(below)
      else if (manifests.has(entry.name)) await add(below)
    }
  }
  await walk('')
  await add('.npmrc')
  return hash.digest('hex')
}

/** `folder` is emptied, and has the modules then. */
export async function installKept(project: Project, folder: string, options: PackOptions): Promise<void> {
  const { env, signal, output, allowScripts } = options
  output.transient('installing the dependencies ...')
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { mode: 0o700 })
  const { isIgnored } = await copyClean(project.folder, folder, { withModules: false, signal })
  const keepNpmrc = !isIgnored('.npmrc')
  await installModules(project, folder, { env, signal, allowScripts, keepNpmrc, warn: output.warn })
  await refuseEscapes(folder)
  signal.throwIfAborted()
}

/** Of every node_modules of a tree, with their paths: what an install made, as long as nobody else wrote there. */
export function modulesOf({ digest, objects }: BuiltTree): string {
  const hash = createHash('sha256')
  const walk = (folder: string, path: string): void => {
    for (const entry of readFolder(folder, (each) => objects.get(each))) {
      if (entry.kind !== 'folder') continue
      const below = pathBelow(path, entry.name)
      if (entry.name === 'node_modules') hash.update(`${below}\0${entry.digest}\0`)
      else walk(entry.digest, below)
    }
  }
  walk(digest, '')
  return hash.digest('hex')
}
