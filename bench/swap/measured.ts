// All that was measured of one contestant with one app, and the figures that are taken from it.
import type { Tally } from './client/protocol.ts'
import type { Memory } from './memory.ts'
import type { Pair } from './pairs.ts'
import type { Killed, Session } from './session.ts'

/** All of one contestant with one app. */
export interface Measured {
  readonly app: string
  /** Ours are `cold` and `spare`. */
  readonly contestant: string
  readonly isOurs: boolean
  readonly full: readonly Session[]
  readonly idle: readonly Session[]
  /** Of ours, beside the app alone. */
  readonly pairs: readonly Pair[]
  readonly kills: readonly Killed[]
  /** Of ours from the flip to the first answer; of `direct` from its spawn. */
  readonly starts: readonly number[]
  readonly memory: readonly Memory[]
}

export function throughputShare({ ours, direct }: Pair): number {
  return ours.requestsPerSecond / direct.requestsPerSecond
}

export function p99Share({ ours, direct }: Pair): number {
  return ours.p99Ms / direct.p99Ms
}

export function tallies(sessions: readonly Session[]): readonly Tally[] {
  return sessions.flatMap(({ all }) => all)
}

export function newCode(sessions: readonly Session[]): readonly number[] {
  return sessions.flatMap(({ newCodeMs }) => newCodeMs)
}

export function failedOf(sessions: readonly Session[]): number {
  return sum(tallies(sessions).map(({ failedCount }) => failedCount))
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

/** Each is one of the values. */
export function quartiles(values: readonly number[]): readonly [number, number, number] {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN
  return [at(0.25), at(0.5), at(0.75)]
}
