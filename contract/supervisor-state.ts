// supervisor.json: what became of an activation. Written by the supervisor alone; whoever reads it must not trust it,
// because the app runs beside the supervisor and could have written it.
import { type Digest, parseDigest } from './digest.ts'
import { parseFields, RecordError } from './json.ts'
import { type Detail, isDetailOf, isReason, type Reason } from './reasons.ts'

const states = ['waiting', 'starting', 'serving', 'swapping', 'down', 'stopping'] as const
const outcomes = ['pending', 'ok', 'fail'] as const
export type SupervisorStateName = (typeof states)[number]

/** When the stages of a swap were over, in milliseconds from when its activation was taken up. */
export interface SwapTimes {
  /** The new process runs. */
  readonly startMs: number
  /** It proved itself. */
  readonly readyMs: number
  /** It gave its first answer; null where none came soon, or none yet. */
  readonly firstAnswerMs: number | null
}

export interface SupervisorState {
  /** Id of the last activation taken up; 0 before the first. */
  readonly activation: number
  /** The release that serves, or is being started; null before the first. */
  readonly digest: Digest | null
  /** Random for each start of the supervisor. */
  readonly instance: string
  readonly state: SupervisorStateName
  /** The verdict on `activation`. */
  readonly outcome: (typeof outcomes)[number]
  /** Set with outcome `fail`. */
  readonly reason: Reason | null
  /** A finer word of the reason's row; null where there is none. */
  readonly detail: Detail | null
  /** For people, one line, at most 500 characters. */
  readonly message: string | null
  /** What the app wrote to stderr last, where it did not come up or ended by itself; at most 4096 characters. */
  readonly output: string | null
  readonly lastGood: Digest | null
  readonly refused: readonly Digest[]
  /** Releases that a process may still read; never pruned. */
  readonly inUse: readonly Digest[]
  /** Of the swap that `activation` led to; null where it led to none, or is not over. */
  readonly swap: SwapTimes | null
  /** ISO 8601, UTC. */
  readonly since: string
}

/** A reader takes no more than this. */
export const maxSupervisorStateBytes = 64 * 1024

/** No swap takes longer; who says so is not believed. */
const mostSwapMs = 24 * 3600 * 1000

export function formatSupervisorState(state: SupervisorState): string {
  return `${JSON.stringify(state)}\n`
}

/** Throws a RecordError or ReasonError where the text is no supervisor state. */
export function parseSupervisorState(json: string): SupervisorState {
  const fields = parseFields(json, 'supervisor.json')
  const digestOrNull = (name: string) => {
    const text = fields.textOrNull(name)
    return text === null ? null : parseDigest(text, `supervisor.json: ${name}`)
  }
  const digests = (name: string) => fields.list(name).map((text) => parseDigest(text, `supervisor.json: ${name}`))
  const reason = fields.textOrNull('reason')
  if (reason !== null && !isReason(reason)) throw new RecordError('supervisor.json: reason is not one of the table')
  const detail = fields.textIfAny('detail')
  if (detail !== null && (reason === null || !isDetailOf(reason, detail)))
    throw new RecordError('supervisor.json: detail is not one of the reason')
  return {
    activation: fields.count('activation'),
    digest: digestOrNull('digest'),
    instance: fields.text('instance').slice(0, 64),
    state: oneOf(states, fields.text('state'), 'state'),
    outcome: oneOf(outcomes, fields.text('outcome'), 'outcome'),
    reason,
    detail,
    message: fields.textOrNull('message')?.slice(0, 500) ?? null,
    output: fields.textIfAny('output')?.slice(0, 4096) ?? null,
    lastGood: digestOrNull('lastGood'),
    refused: digests('refused'),
    inUse: digests('inUse'),
    swap: parseSwap(fields.objectIfAny('swap')),
    since: fields.text('since'),
  }
}

function parseSwap(swap: Readonly<Record<string, unknown>> | null): SwapTimes | null {
  if (swap === null) return null
  const { startMs, readyMs, firstAnswerMs } = swap
  if (isTime(startMs, 0) && isTime(readyMs, startMs) && (firstAnswerMs === null || isTime(firstAnswerMs, readyMs)))
    return { startMs, readyMs, firstAnswerMs }
  throw new RecordError('supervisor.json: swap has times that no swap can have')
}

function isTime(value: unknown, from: number): value is number {
  return typeof value === 'number' && value >= from && value <= mostSwapMs
}

function oneOf<const T extends string>(allowed: readonly T[], text: string, name: string): T {
  const found = allowed.find((one) => one === text)
  if (found === undefined) throw new RecordError(`supervisor.json: ${name} is none of ${allowed.join(', ')}`)
  return found
}
