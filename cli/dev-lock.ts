// One `aether dev` for an app of a namespace of one place, on one machine: two would take the app from each other at each save.
import { createHash, randomUUID } from 'node:crypto'
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isObject } from '@aether/contract/json'
import { errnoOf, Failure } from './failure.ts'
import { type Env, stateFolder } from './settings.ts'

export interface DevLock {
  readonly app: string
  readonly namespace: string
  /** Of control, or of what else it runs by. */
  readonly place: string
  readonly folder: string
  readonly env: Env
  readonly warn: (text: string) => void
}

/** Answers how it is given back. Throws a Failure that says who has it. */
export async function takeDevLock(lock: DevLock): Promise<() => Promise<void>> {
  const { app, namespace, place, folder, env, warn } = lock
  const state = stateFolder(env)
  const file = join(state, `dev-${createHash('sha256').update([place, namespace, app].join('\0')).digest('hex')}.lock`)
  // Written beside it and linked: a lock is never seen half.
  const own = `${file}.${randomUUID()}`
  try {
    await mkdir(state, { recursive: true })
    await writeFile(own, JSON.stringify({ pid: process.pid, folder }), { mode: 0o600 })
    for (let round = 0; round < 3; round += 1) {
      try {
        await link(own, file)
        return () => rm(file, { force: true })
      } catch (error) {
        if (errnoOf(error) !== 'EEXIST') throw error
      }
      const holder = await readHolder(file)
      // Our own number is that of one before us, as in a container that is started again.
      if (holder !== undefined && holder.pid !== process.pid && isAlive(holder.pid))
        throw new Failure('failed', `aether dev of ${app} runs already: process ${holder.pid}, in ${holder.folder}`, {
          next: `end that one first (kill ${holder.pid}); where it is no aether, remove ${file}`,
        })
      // Its holder was killed.
      await rm(file, { force: true })
    }
    throw new Failure('failed', `aether dev of ${app} is started several times at once`, { next: 'start it once' })
  } catch (error) {
    if (error instanceof Failure) throw error
    warn(`${state} cannot be written (${errnoOf(error) ?? 'unknown'}): a second aether dev of ${app} would not be seen`)
    return () => Promise.resolve()
  } finally {
    await rm(own, { force: true }).catch(() => {})
  }
}

async function readHolder(file: string): Promise<{ readonly pid: number; readonly folder: string } | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(file, 'utf8'))
    if (isObject(value) && typeof value.pid === 'number' && Number.isSafeInteger(value.pid) && value.pid > 0)
      return {
        pid: value.pid,
        folder: typeof value.folder === 'string' ? value.folder : 'a folder that it does not say',
      }
  } catch {
    // Gone, or no JSON: nobody's.
  }
  return undefined
}

export function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return errnoOf(error) === 'EPERM'
  }
}
