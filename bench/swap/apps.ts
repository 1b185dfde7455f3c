// The apps that are moved, as folders: two releases each, which differ in their version alone.
import { readFileSync } from 'node:fs'
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isObject } from '@aether/contract/json'
import { copyAppWithPackages } from '@aether/e2e/kit/app-packages'
import { bundleApp } from '../app-folder.ts'
import { root } from '../processes.ts'
import type { Certificate } from './certificate.ts'
import { addCompileCache } from './compile-cache.ts'

export interface App {
  readonly name: string
  readonly isTls: boolean
  /** The variables that it takes its ports from. */
  readonly ports: readonly string[]
  /** It has a compile cache, which is used only where the supervisor may not write the release. */
  readonly isCached: boolean
  /** Makes its folder. */
  make(folder: string): Promise<void>
}

const source = (name: string) => join(root, 'examples/apps', name)
const copied = (name: string, ports: readonly string[] = ['PORT']): App => ({
  name,
  isTls: name === 'https',
  ports,
  isCached: false,
  make: (folder) => cp(source(name), folder, { recursive: true }),
})
const withPackages = (name: string): App => ({
  ...copied(name),
  make: (folder) => copyAppWithPackages(source(name), folder),
})
const bundled: App = {
  ...copied('fastify-bundled'),
  make: (folder) => bundleApp(source('fastify'), folder),
}
const cached = (app: App): App => ({
  ...app,
  name: `${app.name}-cached`,
  isCached: true,
  async make(folder) {
    await app.make(folder)
    await addCompileCache(folder)
  },
})

const apps: readonly App[] = [
  copied('plain'),
  withPackages('express'),
  withPackages('fastify'),
  copied('https'),
  copied('ports', ['PORT', 'ADMIN_PORT']),
  bundled,
  cached(withPackages('fastify')),
  cached(bundled),
]
const usual = ['plain', 'express', 'fastify', 'https', 'ports']

/** Throws where a name is of no app. */
export function chooseApps(names: readonly string[] = usual): readonly App[] {
  return names.map((name) => {
    const found = apps.find((app) => app.name === name)
    if (found === undefined)
      throw new Error(`--apps has "${name}": take from ${apps.map((app) => app.name).join(', ')}, with commas between`)
    return found
  })
}

export const versions = ['1.0.0', '2.0.0'] as const

/** Puts that version of the app into `folder`. */
export async function makeVersion(app: App, folder: string, version: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  await app.make(folder)
  await writeFile(join(folder, 'package.json'), manifestOf(folder, version))
}

/** Its package.json with that version. */
export function manifestOf(folder: string, version: string): string {
  return JSON.stringify({ ...readManifest(folder), version })
}

/** The version of the app in `folder`. */
export function versionOf(folder: string): string {
  return String(readManifest(folder).version)
}

function readManifest(folder: string): Record<string, unknown> {
  const manifest: unknown = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  if (!isObject(manifest)) throw new TypeError(`${folder}/package.json is not an object`)
  return manifest
}

/** What a process of the app is told; `ports` are as many as the app has names for. */
export function environmentOf(app: App, ports: readonly number[], { key, cert }: Certificate) {
  const named = Object.fromEntries(app.ports.map((name, at) => [name, String(ports[at])]))
  return { ...named, KEY_FILE: key, CERT_FILE: cert }
}
