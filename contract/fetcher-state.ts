// state.json: what the fetcher must not forget over a restart (activation step 9). The fetcher writes it; whoever wants to know
// what became of a target reads it.
import { type Digest, parseDigest } from './digest.ts'
import { isObject, parseFields } from './json.ts'

export interface FetcherState {
  /** Failures since the last success. */
  readonly failures: number
  /** Id of the last activation whose outcome was reported, so that a restart does not say it again. */
  readonly reported: number
  /** The release reported as serving last; null before the first. */
  readonly lastDigest: Digest | null
  /** The annotations it came with, to tell a forgotten signature or URL from a wrong one. */
  readonly served: Readonly<Record<string, string>>
  /** A digest that did not come up, and the annotations that asked for it: refused until they are written again. */
  readonly refused: { readonly digest: Digest; readonly key: string } | null
  /** The last failure since the last success. */
  readonly failed: RefreshFailure | null
}

export interface RefreshFailure {
  /** Null where the annotations make no target. */
  readonly digest: Digest | null
  readonly reason: string
  readonly detail: string
  /** For people, at most 1000 characters. */
  readonly message: string
  /** What the app wrote to stderr last, where the release did not come up; null where it wrote nothing. */
  readonly output: string | null
}

export const freshState: FetcherState = {
  failures: 0,
  reported: 0,
  lastDigest: null,
  served: {},
  refused: null,
  failed: null,
}

/** A reader takes no more than this: all annotations of an object take 256 KiB at most, and ours are in it twice. */
export const maxFetcherStateBytes = 1024 * 1024

const maxMessage = 1000
const maxOutput = 4096

/** Throws a RecordError or ReasonError where the text is no state of a fetcher. */
export function parseFetcherState(text: string): FetcherState {
  const fields = parseFields(text, 'state.json')
  const lastDigest = fields.textOrNull('lastDigest')
  const served: Record<string, string> = {}
  for (const [name, value] of Object.entries(fields.objectOrNull('served') ?? {}))
    if (typeof value === 'string') served[name] = value
  const refused = fields.objectOrNull('refused')
  return {
    failures: fields.count('failures'),
    reported: fields.count('reported'),
    lastDigest: lastDigest === null ? null : parseDigest(lastDigest, 'state.json: lastDigest'),
    served,
    refused:
      isObject(refused) && typeof refused.digest === 'string' && typeof refused.key === 'string'
        ? { digest: parseDigest(refused.digest, 'state.json: refused'), key: refused.key }
        : null,
    failed: parseFailure(fields.objectIfAny('failed')),
  }
}

function parseFailure(failed: Readonly<Record<string, unknown>> | null): RefreshFailure | null {
  if (failed === null) return null
  const { digest, reason, detail, message, output } = failed
  if (typeof reason !== 'string' || typeof detail !== 'string' || typeof message !== 'string') return null
  return {
    digest: typeof digest === 'string' ? parseDigest(digest, 'state.json: failed') : null,
    reason: reason.slice(0, 64),
    detail: detail.slice(0, 64),
    message: message.slice(0, maxMessage),
    output: typeof output === 'string' ? output.slice(0, maxOutput) : null,
  }
}
