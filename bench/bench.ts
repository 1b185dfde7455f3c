// What every bench is given, and the rows that it answers with.
import type { Say } from '@aether/e2e/kit/scenario'

export interface BenchOptions {
  readonly isJson: boolean
  /** Changes measured for each case of ours, and for each peer. */
  readonly ours: number
  readonly theirs: number
  readonly busyboxImage: string
  /** Command that brings an image archive, whose path follows, into the nodes. */
  readonly imageLoad: string | undefined
  readonly release: ReleaseOptions
  readonly swap: SwapOptions
  /** Progress, to stderr. */
  readonly say: Say
}

/** What `release` alone reads. */
interface ReleaseOptions {
  /** Measured runs of each contestant in each case. */
  readonly runs: number
  /** Names of cases; `undefined` is all, less the curve. */
  readonly cases: readonly string[] | undefined
  readonly isCurve: boolean
  /** Where to work; `undefined` is /dev/shm. */
  readonly folder: string | undefined
}

/** What `swap` alone reads. */
export interface SwapOptions {
  /** Names of apps; `undefined` is the usual ones. */
  readonly apps: readonly string[] | undefined
  /** Changes of ours under load with each app. */
  readonly swaps: number
  /** At most so many of each peer. */
  readonly theirs: number
  readonly kills: number
  /** So many starts alone; `undefined` is everything. */
  readonly starts: number | undefined
  /** Requests that ours answers with each app at least. */
  readonly requests: number
  /** Names of contestants; `undefined` is all. */
  readonly only: readonly string[] | undefined
  /** Where to work; `undefined` is /dev/shm. */
  readonly folder: string | undefined
}

/** One row of the JSON: the names are the same from run to run, so that a bound can be held against them. */
export interface BenchRow {
  readonly case: string
  readonly measure: string
  readonly peer: string
  readonly ours: number
  readonly theirs: number
  readonly unit: string
  /** Above 1 ours is better; null where a 0 leaves no factor. */
  readonly ratio: number | null
  /** Quartiles, where the ratio is the median of several. */
  readonly interval?: readonly [number, number]
}

/** For measures of which less is better. */
export function lessIsBetter(row: Omit<BenchRow, 'ratio' | 'interval'>): BenchRow {
  return { ...row, ratio: row.ours === 0 ? null : round(row.theirs / row.ours, 2) }
}

export function round(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}
