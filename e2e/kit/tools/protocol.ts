// What the tools pod is asked and answers. Imported by both ends, so it holds types alone.
export interface Address {
  readonly host: string
  readonly port: number
  readonly path: string
}

/** `error` is set where no whole answer came. */
export interface Answer {
  readonly status: number
  readonly body: string
  readonly error: FailureKind | null
}

export type FailureKind = 'refused' | 'reset' | 'truncated' | 'timeout' | 'other'

export interface Fault {
  /** Answers this status and no artifact. */
  readonly status?: number
  /** Declares the whole length and breaks off after this many bytes. */
  readonly truncateAt?: number
}

export type Change =
  | {
      readonly kind: 'annotations'
      readonly pods: readonly string[]
      readonly annotations: Readonly<Record<string, string>>
    }
  | {
      readonly kind: 'request'
      readonly url: string
      readonly method: string
      readonly headers: Readonly<Record<string, string>>
      readonly body: string
    }

export interface MeasureRequest {
  readonly targets: readonly Address[]
  /** The body, trimmed, of the version that is waited for. */
  readonly expected: string
  readonly change: Change
  /** A fresh connection to each target this often. */
  readonly everyMs: number
  /** Nothing is done for this long at first. */
  readonly quietMs: number
  /** Asked for this long before the change, so that a failure of the old version shows too. */
  readonly warmMs: number
  /** Asked for this long after the last target answered the new version. */
  readonly settleMs: number
  readonly limitMs: number
}

export interface TargetMeasured {
  readonly host: string
  /** From the change sent to the first new answer received; null where none came in time. */
  readonly firstNewMs: number | null
  readonly requests: number
  /** Failed requests by kind; `status` is an answer that is not 2xx. */
  readonly failed: Readonly<Record<FailureKind | 'status', number>>
}

export interface Measured {
  readonly targets: readonly TargetMeasured[]
  /** From the change sent to its answer, the slowest one's where there are several. */
  readonly patchMs: number
}

export interface LoadRequest {
  readonly address: Address
  /** Clients that keep their connection, and how long each waits after an answer. */
  readonly clients: number
  readonly pauseMs: number
  /** A fresh connection this often. */
  readonly everyMs: number
}

export interface Loaded {
  readonly requests: number
  /** Failed requests by kind; `status` is an answer that is not 2xx. */
  readonly failed: Readonly<Record<FailureKind | 'status', number>>
  /** Good answers by their body, trimmed. */
  readonly answers: Readonly<Record<string, number>>
  readonly slowestMs: number
  /** The first ten that failed, in words. */
  readonly faults: readonly string[]
}
