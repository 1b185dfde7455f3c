// One `aether dev` for an app of a namespace of one place, on one machine: two would take the app from each other at each save.
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { errnoOf, Failure } from '../basics/failure.ts'
import { takeProcessLock } from '../basics/process-lock.ts'
import { type Env, stateFolder } from '../basics/settings.ts'

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
  const path = join(state, `dev-${createHash('sha256').update([place, namespace, app].join('\0')).digest('hex')}.lock`)
  const taken = await takeProcessLock(path, folder).catch((error: unknown) => {
    if (errnoOf(error) === undefined) throw error
    warn(`${state} cannot be written (${errnoOf(error)}): a second aether dev of ${app} would not be seen`)
    return () => Promise.resolve()
  })
  if (typeof taken === 'function') return taken
  const { pid, about } = taken
  throw new Failure('failed', `aether dev of ${app} runs already: process ${pid}, in ${about || 'another folder'}`, {
    next: `end that one first (kill ${pid}); where it is no aether, remove ${path}`,
  })
}
