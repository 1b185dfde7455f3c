// supervisor.json: this process is its one writer. It outlives the container on a memory volume, so a restart knows
// which release was good and which were refused.
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { supervisorStateName } from '@aether/contract/layout'
import { formatSupervisorState, parseSupervisorState, type SupervisorState } from '@aether/contract/supervisor-state'
import { writeFileAtomic } from '@aether/runtime/atomic-file'
import type { Log } from '@aether/runtime/log'

export interface VerdictFile {
  readonly state: () => SupervisorState
  /** Changes some fields and writes the file; a write that fails is logged, and the next one says it all again. */
  publish(changes: Partial<SupervisorState>): Promise<void>
}

const mostRefused = 10

export async function openVerdictFile(runDir: string, log: Log): Promise<VerdictFile> {
  const path = join(runDir, supervisorStateName)
  let state: SupervisorState = {
    activation: 0,
    digest: null,
    state: 'waiting',
    outcome: 'pending',
    reason: null,
    detail: null,
    message: null,
    output: null,
    lastGood: null,
    refused: [],
    inUse: [],
    swap: null,
    ...(await readLast(path, log)),
    instance: randomUUID(),
    since: new Date().toISOString(),
  }
  // One write after the other: two renames at once could leave the older state.
  let written = Promise.resolve()
  async function write(): Promise<void> {
    await writeFileAtomic(path, formatSupervisorState(state)).catch((error: unknown) => {
      log.error({ path, err: error }, 'supervisor.json cannot be written: is the run folder mounted read-write?')
    })
  }
  return {
    state: () => state,
    publish(changes) {
      state = { ...state, ...changes, since: new Date().toISOString() }
      state = { ...state, refused: state.refused.slice(-mostRefused), message: state.message?.slice(0, 500) ?? null }
      written = written.then(write)
      return written
    },
  }
}

async function readLast(path: string, log: Log): Promise<Partial<SupervisorState>> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch {
    return {}
  }
  try {
    return parseSupervisorState(text)
  } catch (error) {
    log.warn({ path, err: error }, 'supervisor.json of an earlier run cannot be read; a fresh one is begun')
    return {}
  }
}
