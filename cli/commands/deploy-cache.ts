// What `aether deploy` of a folder keeps for the next one: the modules that it installed, and what it knows of files. Whoever can
// write there could write to the folder too; a file of it that is damaged, or of somebody else, counts as none.
import { createHash } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import { mkdir, open } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, sep } from 'node:path'
import type { KnownFile } from '@aether/artifact/known-file'
import { isObject } from '@aether/contract/json'
import { errnoOf } from '../basics/failure.ts'
import { takeProcessLock } from '../basics/process-lock.ts'
import type { Env } from '../basics/settings.ts'
import { writeWhole } from '../basics/write-whole.ts'

export interface DeployState {
  /** Of what decides about the modules; null where none are installed. */
  readonly install: string | null
  /** What the modules were when they had been installed. */
  readonly modules: string | null
  readonly files: ReadonlyMap<string, KnownFile>
}

export interface DeployCache {
  /** For the modules: a folder like the app's. */
  readonly installed: string
  load(): Promise<DeployState>
  save(state: DeployState): Promise<void>
  /** Lets another deploy of the folder have it. */
  close(): Promise<void>
}

const nothing: DeployState = { install: null, modules: null, files: new Map() }
const format = 'aether-deploy-1'
const maxBytes = 256 * 1024 * 1024
const hexLength = 64

/**
 * `folder` is absolute, and without links. Undefined where there can be none: another deploy of the folder has it, it cannot be
 * written, or it would lie in the folder itself.
 */
export async function openDeployCache(folder: string, env: Env): Promise<DeployCache | undefined> {
  const name = createHash('sha256').update(folder).digest('hex').slice(0, 32)
  const root = join(env.XDG_CACHE_HOME || join(env.HOME || homedir(), '.cache'), 'aether', 'deploy', name)
  if (root.startsWith(folder + sep)) return undefined
  const file = join(root, 'state')
  let taken: Awaited<ReturnType<typeof takeProcessLock>>
  try {
    await mkdir(root, { recursive: true, mode: 0o700 })
    taken = await takeProcessLock(join(root, 'lock'), folder)
  } catch (error) {
    if (errnoOf(error) === undefined) throw error
    return undefined
  }
  if (typeof taken !== 'function') return undefined
  return {
    installed: join(root, 'installed'),
    async load() {
      try {
        return parseState(await readOwn(file), folder)
      } catch {
        return nothing // absent, damaged, another format, not ours: everything is read again
      }
    },
    save: (state) => writeWhole(file, formatState(state, folder)),
    close: taken,
  }
}

async function readOwn(file: string): Promise<string> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const stat = await handle.stat()
    if (!isOwn(stat) || stat.size > maxBytes) throw new Error('not ours')
    return await handle.readFile('utf8')
  } finally {
    await handle.close()
  }
}

/** Nobody else may have written it. */
function isOwn(stat: Stats): boolean {
  return stat.isFile() && stat.uid === process.getuid?.() && (stat.mode & 0o022) === 0
}

function formatState({ install, modules, files }: DeployState, folder: string): string {
  const known = [...files].map(([path, { size, ctimeNs, mtimeNs, inode, lookedAt, digest }]) => [
    path,
    size,
    String(ctimeNs),
    String(mtimeNs),
    String(inode),
    lookedAt,
    digest,
  ])
  const body = JSON.stringify({ format, folder, install, modules, files: known })
  return `${createHash('sha256').update(body).digest('hex')}\n${body}`
}

/** Throws where it is not whole, or of another folder. */
function parseState(text: string, folder: string): DeployState {
  const body = text.slice(hexLength + 1)
  if (createHash('sha256').update(body).digest('hex') !== text.slice(0, hexLength)) throw new Error('it is not whole')
  const value: unknown = JSON.parse(body)
  if (!isObject(value) || value.format !== format || value.folder !== folder || !Array.isArray(value.files))
    throw new Error('it is another')
  const { install, modules } = value
  const files = new Map<string, KnownFile>()
  for (const row of value.files) {
    const [path, file] = parseFile(row)
    files.set(path, file)
  }
  return { install: hexOrNull(install), modules: hexOrNull(modules), files }
}

function parseFile(row: unknown): readonly [string, KnownFile] {
  if (!Array.isArray(row)) throw new Error('a file is no list')
  const [path, size, ctime, mtime, ino, lookedAt, digest]: unknown[] = row
  if (typeof path !== 'string' || typeof digest !== 'string' || !/^[0-9a-f]{64}$/.test(digest))
    throw new Error('a file has no path or digest')
  return [
    path,
    {
      size: whole(size),
      ctimeNs: big(ctime),
      mtimeNs: big(mtime),
      inode: big(ino),
      lookedAt: whole(lookedAt),
      digest,
    },
  ]
}

function whole(value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw new Error('a number is none')
}

function big(value: unknown): bigint {
  if (typeof value === 'string' && /^-?\d{1,20}$/.test(value)) return BigInt(value)
  throw new Error('a number is none')
}

function hexOrNull(value: unknown): string | null {
  if (value === null || (typeof value === 'string' && /^[0-9a-f]{64}$/.test(value))) return value
  throw new Error('a digest is none')
}
