// The marker lines on stdout. Harnesses and people grep for them, so they keep their form; everything else is JSON.
import { isReason, type Reason } from './reasons.ts'

export interface RefreshOk {
  readonly app: string
  /** 64 hex characters. */
  readonly digest: string
  /** From the event that brought the target to the new code serving (supervised) or active on disk (not). */
  readonly ms: number
}

export interface RefreshFail {
  readonly app: string
  readonly reason: Reason
  readonly ms: number
}

/** More pairs of a marker; a value is a word or a number, `undefined` leaves the pair out. */
export type Pairs = Readonly<Record<string, string | number | undefined>>

/** `REFRESH_OK app=<app> digest=<64 hex> ms=<n> ...` */
export function formatRefreshOk(ok: RefreshOk, more: Pairs = {}): string {
  return line('REFRESH_OK', { app: ok.app, digest: ok.digest, ms: ok.ms, ...more })
}

/** `REFRESH_FAIL app=<app> reason=<reason> ms=<n> ...` */
export function formatRefreshFail(fail: RefreshFail, more: Pairs = {}): string {
  return line('REFRESH_FAIL', { app: fail.app, reason: fail.reason, ms: fail.ms, ...more })
}

/** `REFRESH_STATE failures=<n> last_digest=<hex>`; last_digest is empty before the first release. */
export function formatRefreshState(failures: number, lastDigestHex: string): string {
  return line('REFRESH_STATE', { failures, last_digest: lastDigestHex })
}

export type Marker =
  | { readonly kind: 'ok'; readonly app: string; readonly digest: string; readonly ms: number; readonly pairs: Pairs }
  | { readonly kind: 'fail'; readonly app: string; readonly reason: Reason; readonly ms: number; readonly pairs: Pairs }
  | { readonly kind: 'state'; readonly failures: number; readonly lastDigest: string }

/** Reads one line of a log; `undefined` where it is no marker of ours, whole and well formed. */
export function parseMarker(text: string): Marker | undefined {
  const [word, ...rest] = text.trimEnd().split(' ')
  const pairs: Record<string, string> = {}
  for (const pair of rest) {
    const at = pair.indexOf('=')
    if (at < 1) return undefined
    pairs[pair.slice(0, at)] = pair.slice(at + 1)
  }
  const { app, digest, reason, failures, last_digest: lastDigest } = pairs
  const ms = count(pairs.ms)
  if (word === 'REFRESH_OK' && app !== undefined && digest !== undefined && ms !== undefined)
    return /^[0-9a-f]{64}$/.test(digest) ? { kind: 'ok', app, digest, ms, pairs } : undefined
  if (word === 'REFRESH_FAIL' && app !== undefined && reason !== undefined && ms !== undefined)
    return isReason(reason) ? { kind: 'fail', app, reason, ms, pairs } : undefined
  const failed = count(failures)
  if (word === 'REFRESH_STATE' && failed !== undefined && lastDigest !== undefined)
    return { kind: 'state', failures: failed, lastDigest }
  return undefined
}

// A value can hold no space, line break or control character, so no value can forge a pair or a marker.
function line(word: string, pairs: Pairs): string {
  const parts = [word]
  for (const [key, value] of Object.entries(pairs)) {
    if (value === undefined) continue
    const text = typeof value === 'number' ? String(Math.max(0, Math.round(value))) : value
    parts.push(`${key}=${text.replaceAll(/[^\x21-\x7e]/g, '_')}`)
  }
  return parts.join(' ')
}

function count(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}
