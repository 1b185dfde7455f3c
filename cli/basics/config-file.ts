// The two configuration files: `.aether.json` of an app's folder, which is committed and holds no secret, and the user's
// own, which may. A field that is not known is an error, because a typing mistake would otherwise go unnoticed.
import { readFile, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { isObject } from '@aether/contract/json'
import { errnoOf, Failure } from './failure.ts'

export interface ProjectFile {
  readonly app?: string
  readonly namespace?: string
  readonly url?: string
  readonly environment?: string
  readonly readyPath?: string
  readonly port?: number
  readonly devHot?: boolean
  /** Where aether dev runs it. */
  readonly place?: string
}

export interface UserFile {
  readonly url?: string
  readonly token?: string
  /** PEM, or a path that has been made absolute. */
  readonly signingKey?: string
}

export const projectFileName = '.aether.json'

/** Empty where there is none. */
export async function loadProjectFile(file: string): Promise<ProjectFile> {
  const fields = await loadFields(file, {
    app: 'string',
    namespace: 'string',
    url: 'string',
    environment: 'string',
    readyPath: 'string',
    port: 'number',
    devHot: 'boolean',
    place: 'string',
  })
  return {
    ...texts(fields, 'app', 'namespace', 'url', 'environment', 'readyPath', 'place'),
    ...(typeof fields.port === 'number' ? { port: fields.port } : {}),
    ...(typeof fields.devHot === 'boolean' ? { devHot: fields.devHot } : {}),
  }
}

/** Empty where there is none. */
export async function loadUserFile(file: string, warn: (text: string) => void): Promise<UserFile> {
  const fields = await loadFields(file, { url: 'string', token: 'string', signingKey: 'string' })
  const { signingKey, ...rest } = texts(fields, 'url', 'token', 'signingKey')
  if (fields.token !== undefined || signingKey !== undefined) await warnIfShared(file, warn)
  if (signingKey === undefined) return rest
  return { ...rest, signingKey: isPem(signingKey) ? signingKey : resolve(dirname(file), signingKey) }
}

/** Warns where a file that holds a secret can be read by others. */
export async function warnIfShared(file: string, warn: (text: string) => void): Promise<void> {
  const { mode } = await stat(file)
  if ((mode & 0o077) !== 0) warn(`${file} holds a secret and can be read by others: chmod 600 ${file}`)
}

export function isPem(text: string): boolean {
  return text.includes('-----BEGIN ')
}

async function loadFields(
  file: string,
  known: Readonly<Record<string, 'string' | 'number' | 'boolean'>>,
): Promise<Readonly<Record<string, unknown>>> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined
    throw error
  })
  if (text === undefined) return {}
  const fields = parseObject(text, file)
  for (const [name, value] of Object.entries(fields)) {
    const wanted = Object.hasOwn(known, name) ? known[name] : undefined
    if (wanted === undefined)
      throw new Failure('config', `${file} has a field ${JSON.stringify(name)}, which is not known`, {
        next: `take it out; known are ${Object.keys(known).join(', ')}`,
      })
    if (typeof value !== wanted || value === '')
      throw new Failure('config', `${file}: ${name} is not a ${wanted}`, { next: `write a ${wanted}, or take it out` })
  }
  return fields
}

function parseObject(text: string, file: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // The parser's own message repeats a piece of the file, which may hold a token.
    throw new Failure('config', `${file} is not JSON`, { next: 'write one JSON object, such as {"app": "shop"}' })
  }
  if (isObject(value)) return value
  throw new Failure('config', `${file} is not a JSON object`, { next: 'write one, such as {"app": "shop"}' })
}

function texts<const Name extends string>(
  fields: Readonly<Record<string, unknown>>,
  ...names: readonly Name[]
): { readonly [name in Name]?: string } {
  const found: { [name in Name]?: string } = {}
  for (const name of names) {
    const value = fields[name]
    if (typeof value === 'string') found[name] = value
  }
  return found
}
