// The folder of an app: its package.json, as far as packing needs it.
import { access, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { isObject } from '@aether/contract/json'
import { toAppName } from '../basics/dns-label.ts'
import { errnoOf, Failure } from '../basics/failure.ts'

export interface Project {
  /** Absolute. */
  readonly folder: string
  /** package.json's name as a DNS label; undefined where it has none. */
  readonly appName: string | undefined
  readonly hasDependencies: boolean
  readonly lockfile: 'npm' | 'none' | ForeignLockfile
}

export const foreignLockfiles = ['pnpm-lock.yaml', 'yarn.lock', 'bun.lock', 'bun.lockb'] as const
export type ForeignLockfile = (typeof foreignLockfiles)[number]

export async function loadProject(folder: string): Promise<Project> {
  const path = resolve(folder)
  const file = join(path, 'package.json')
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    const code = errnoOf(cause)
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw cause
    throw new Failure('usage', `${path} has no package.json`, {
      cause,
      next: 'name the folder of the app, as in aether deploy ./services/shop, or make one by npm init',
    })
  })
  const fields = parsePackage(text, file)
  return {
    folder: path,
    appName: typeof fields.name === 'string' ? toAppName(fields.name) : undefined,
    hasDependencies: ['dependencies', 'optionalDependencies', 'peerDependencies'].some((name) => {
      const found = fields[name]
      return isObject(found) && Object.keys(found).length > 0
    }),
    lockfile: await findLockfile(path),
  }
}

function parsePackage(text: string, file: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    if (isObject(value)) return value
  } catch (cause) {
    throw new Failure('config', `${file} is not JSON: ${cause instanceof Error ? cause.message : ''}`, {
      cause,
      next: 'correct it; npm pkg get shows where it fails',
    })
  }
  throw new Failure('config', `${file} is not a JSON object`, { next: 'write one, as npm init does' })
}

async function findLockfile(folder: string): Promise<Project['lockfile']> {
  const has = (name: string) =>
    access(join(folder, name)).then(
      () => true,
      () => false,
    )
  if ((await has('package-lock.json')) || (await has('npm-shrinkwrap.json'))) return 'npm'
  for (const name of foreignLockfiles) if (await has(name)) return name
  return 'none'
}
