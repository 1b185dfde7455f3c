// The closed table of why a refresh can fail. One row gives the marker word and the metric label (its key),
// the retry rule, the exit code of init-fetch and the documentation; docs/contract.md is held against it by a test.

/**
 * When a failed target is tried again:
 * `annotation` not before its annotations are written again; `slow` once a minute;
 * `backoff` after 500 ms x 2^n up to 5 s with jitter, and slowly once that is used up.
 */
export type RetryRule = 'annotation' | 'backoff' | 'slow'

interface ReasonRow {
  readonly exitCode: number
  readonly retry: RetryRule
  /** Where a detail has a rule of its own: nothing heals it within seconds. */
  readonly retryOf?: Readonly<Record<string, RetryRule>>
  readonly doc: string
  /** Finer words for the `detail=` pair of the marker; a closed list too. */
  readonly details: readonly string[]
}

const table = {
  target: {
    exitCode: 10,
    retry: 'annotation',
    doc: 'The annotations do not make a target.',
    details: [
      'digest_missing',
      'digest_malformed',
      'url_missing',
      'url_malformed',
      'url_credentials',
      'url_scheme',
      'dev_hot_malformed',
    ],
  },
  signature: {
    exitCode: 11,
    retry: 'annotation',
    doc: 'The signature does not hold for the digest, or is missing where one is required.',
    details: ['missing', 'malformed', 'invalid', 'stale', 'development'],
  },
  key: {
    exitCode: 12,
    retry: 'slow',
    doc: 'No key that may be trusted: none given, wrong length, not canonical, of small or mixed order, unreadable.',
    details: ['missing', 'malformed', 'length', 'weak', 'unreadable'],
  },
  download: {
    exitCode: 13,
    retry: 'backoff',
    retryOf: { too_large: 'slow', origin_refused: 'slow', address_refused: 'slow' },
    doc: 'The artifact could not be fetched whole.',
    details: [
      'unreachable',
      'not_found',
      'forbidden',
      'http_status',
      'redirect',
      'truncated',
      'timeout',
      'too_large',
      'too_slow',
      'origin_refused',
      'address_refused',
    ],
  },
  checksum: {
    exitCode: 14,
    retry: 'slow',
    doc: 'The bytes that came do not have the digest that was signed.',
    details: ['mismatch', 'stale'],
  },
  extract: {
    exitCode: 15,
    retry: 'annotation',
    doc: 'The artifact is not an archive or tree that we take, or breaks a rule for its entries.',
    details: [
      'bad_compression',
      'not_tar',
      'truncated',
      'path_escape',
      'link_escape',
      'unsupported_entry',
      'duplicate',
      'limit',
      'bad_tree',
    ],
  },
  disk_full: {
    exitCode: 16,
    retry: 'slow',
    doc: 'No room for the release on the volume (ENOSPC, EDQUOT), in AETHER_WORKSPACE_MAX_BYTES, or above AETHER_MIN_FREE_BYTES.',
    details: ['bytes', 'inodes', 'budget', 'floor'],
  },
  read_only: {
    exitCode: 17,
    retry: 'slow',
    doc: 'The volume of the releases cannot be written (EROFS, EACCES, EPERM).',
    details: ['volume'],
  },
  unhealthy: {
    exitCode: 18,
    retry: 'annotation',
    doc: 'The release did not come up under the supervisor; the last good one serves.',
    details: ['start', 'exited', 'not_ready', 'command', 'hook', 'crashed'],
  },
  timeout: {
    exitCode: 19,
    retry: 'slow',
    doc: 'The supervisor gave no verdict on the activation in time.',
    details: ['verdict'],
  },
  rate_limit: {
    exitCode: 20,
    retry: 'slow',
    doc: 'Refreshes were asked for faster than the minimum interval allows.',
    details: ['interval'],
  },
  anomaly: {
    exitCode: 21,
    retry: 'slow',
    doc: 'Too many failures in a row; the fetcher goes slowly until one succeeds.',
    details: ['threshold'],
  },
  busy: {
    exitCode: 22,
    retry: 'slow',
    doc: 'Another process holds the volume of the releases.',
    details: ['locked'],
  },
  control: {
    exitCode: 23,
    retry: 'slow',
    doc: 'A new pod asked control for its target and got none.',
    details: ['unreachable', 'refused', 'malformed', 'no_target'],
  },
  drift: {
    exitCode: 24,
    retry: 'backoff',
    doc: 'The release that serves is not, or not provably, what was verified; it is fetched again.',
    details: ['changed', 'missing', 'extra', 'unverified'],
  },
  internal: {
    exitCode: 70,
    retry: 'slow',
    doc: 'Anything else: a fault of ours, logged with its cause.',
    details: ['unexpected'],
  },
} as const satisfies Record<string, ReasonRow>

export type Reason = keyof typeof table
export type Detail<R extends Reason = Reason> = (typeof table)[R]['details'][number]

export const reasons: Readonly<Record<Reason, ReasonRow>> = table

/** The retry rule of a failure. */
export function retryRuleOf({ reason, detail }: Pick<ReasonError, 'reason' | 'detail'>): RetryRule {
  const { retry, retryOf } = reasons[reason]
  return retryOf?.[detail] ?? retry
}

export function isReason(text: string): text is Reason {
  return Object.hasOwn(table, text)
}

export function isDetailOf<R extends Reason>(reason: R, text: string): text is Detail<R> {
  return reasons[reason].details.includes(text)
}

interface ReasonOptions extends ErrorOptions {
  readonly retryAfterMs?: number
}

/** What every stage throws: a reason of the table, and a message that names the field, the value and the remedy. */
export class ReasonError extends Error {
  override readonly name = 'ReasonError'
  readonly reason: Reason
  readonly detail: Detail
  /** What a busy server asked for. */
  readonly retryAfterMs: number | undefined

  constructor(reason: Reason, detail: Detail, message: string, options?: ReasonOptions) {
    super(message, options)
    this.reason = reason
    this.detail = detail
    this.retryAfterMs = options?.retryAfterMs
  }
}

/** Makes a ReasonError whose detail belongs to its reason. Thrown where the fact is known, never relabelled above. */
export function refusal<R extends Reason>(
  reason: R,
  detail: Detail<R>,
  message: string,
  options?: ReasonOptions,
): ReasonError {
  return new ReasonError(reason, detail, message, options)
}

/** Any thrown value as a ReasonError; what is not one of ours is `internal`, with its cause kept. */
export function toReasonError(error: unknown): ReasonError {
  if (error instanceof ReasonError) return error
  const message = error instanceof Error ? error.message : String(error)
  return refusal('internal', 'unexpected', `unexpected: ${message}`, { cause: error })
}
