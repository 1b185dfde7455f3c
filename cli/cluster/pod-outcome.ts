// What became of a release in one pod, by the two records that its agents keep (docs/contract.md): the fetcher's state.json and
// the supervisor's supervisor.json. They come from where the app could have written them: shown, never trusted.
import type { Digest } from '@aether/contract/digest'
import { type FetcherState, freshState, parseFetcherState } from '@aether/contract/fetcher-state'
import { isDetailOf, isReason, retryRuleOf } from '@aether/contract/reasons'
import { parseSupervisorState, type SupervisorState } from '@aether/contract/supervisor-state'
import { withAppError } from '../basics/app-error.ts'
import { Failure } from '../basics/failure.ts'
import { shortDigest } from '../basics/table.ts'

export interface PodRecords {
  readonly fetcher: FetcherState
  readonly supervisor: SupervisorState | undefined
}

export const noRecords: PodRecords = { fetcher: freshState, supervisor: undefined }

/** The texts of both files; what is no record of theirs counts as none. */
export function parseRecords(state: string | undefined, supervisor: string | undefined): PodRecords {
  return {
    fetcher: readOr(state, parseFetcherState) ?? freshState,
    supervisor: readOr(supervisor, parseSupervisorState),
  }
}

export interface Wanted {
  readonly digest: Digest
  /** Of the pod, when the release was asked for: an older failure is not its own. */
  readonly before: PodRecords
}

/** `undefined` while it is not decided. */
export function outcomeOf({ fetcher, supervisor }: PodRecords, wanted: Wanted): 'serving' | Failure | undefined {
  const { digest, before } = wanted
  const isUp = supervisor?.state === 'serving' && supervisor.outcome === 'ok' && supervisor.digest === digest
  if (isUp || (fetcher.lastDigest === digest && supervisor?.outcome !== 'pending')) return 'serving'
  const { failed } = fetcher
  if (failed === null || (failed.digest !== digest && failed.digest !== null)) return undefined
  const isOld = fetcher.failures === before.fetcher.failures && before.fetcher.failed?.digest === failed.digest
  if (isOld || heals(failed.reason, failed.detail)) return undefined
  const { message, detail } = withAppError(failed.message, failed.output)
  return new Failure('failed', message, {
    code: failed.reason,
    detail,
    ...(failed.reason === 'signature' || failed.reason === 'key' ? { next: nextForKeys } : {}),
  })
}

/** What a pod has served last and, as far as it says, serves still. */
export function servingOf({ fetcher, supervisor }: PodRecords): Digest | undefined {
  return (supervisor?.state === 'serving' ? supervisor.digest : undefined) ?? fetcher.lastDigest ?? undefined
}

/** For a wait that is over: how far it came. */
export function notServing(app: string, digest: Digest, timeoutMs: number, { fetcher }: PodRecords): Failure {
  const said = fetcher.failed === null ? 'nothing was said of it' : fetcher.failed.message
  return new Failure('failed', `${app} does not serve ${shortDigest(digest)} after ${timeoutMs / 1_000} s: ${said}`, {
    code: 'timeout',
    next: '--timeout waits longer',
  })
}

const nextForKeys =
  'put dev-signing.pub.pem of the folder aether of XDG_CONFIG_HOME (~/.config) into the Secret of the keys, or set AETHER_SIGNING_KEY'

/** The fetcher tries it again within seconds. */
function heals(reason: string, detail: string): boolean {
  return isReason(reason) && isDetailOf(reason, detail) && retryRuleOf({ reason, detail }) === 'backoff'
}

function readOr<T>(text: string | undefined, parse: (text: string) => T): T | undefined {
  try {
    return text === undefined ? undefined : parse(text)
  } catch {
    return undefined
  }
}
