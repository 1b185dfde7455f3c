// From an answer of control that is no success to a Failure: its code, field and request id, and what to do about it.
import { isObject } from '@aether/contract/json'
import { Failure, type FailureKind } from '../basics/failure.ts'
import type { HttpAnswer, HttpOptions } from './http.ts'

const nextSteps: Readonly<Record<string, string>> = {
  unknown_app: 'register it once: aether apps create NAME --key FILE',
  unknown_artifact: 'upload it: aether deploy',
  signature_required: 'set AETHER_SIGNING_KEY to the private key (aether keys generate makes a pair)',
  bad_signature: "sign with the private key of one of the app's public keys, or add this one: aether keys add APP FILE",
  development_only: 'sign it with AETHER_SIGNING_KEY by aether deploy, or name an environment for development keys',
  bad_key: 'make a new pair: aether keys generate',
  changed_meanwhile: 'look at it (aether status), then run it again',
  too_large: 'leave out what the app does not need (.aetherignore), or have the limit of control raised',
  too_many: 'wait a moment, then run it again',
}

export function isUnavailable(status: number): boolean {
  return [429, 502, 503, 504].includes(status)
}

export function refusalOf(answer: HttpAnswer, { url, token }: Pick<HttpOptions, 'url' | 'token'>): Failure {
  const problem = isObject(answer.value) ? answer.value : {}
  const text = (name: string) => {
    const value = problem[name]
    return typeof value === 'string' && value !== '' ? value : undefined
  }
  const code = text('code')
  const said = text('message') ?? text('detail') ?? text('title')
  const parts = { code, field: text('field'), requestId: text('request_id') }
  if (code === undefined && !answer.isJson) return notOurs(answer, url.value)
  const message = said ?? `control answered ${answer.status}`
  if (answer.status === 401 || code === 'forbidden') {
    const shown = token === undefined ? 'no token was shown (AETHER_TOKEN is not set)' : `the token of ${token.source}`
    return new Failure('config', `control refuses: ${message}; ${token === undefined ? shown : `shown was ${shown}`}`, {
      ...parts,
      next:
        answer.status === 401
          ? 'set AETHER_TOKEN to a token that control knows (its AETHER_API_TOKENS)'
          : 'use a token whose role may do this',
    })
  }
  return new Failure(kindOf(answer.status, code), message, { ...parts, next: nextOf(answer.status, code) })
}

function kindOf(status: number, code: string | undefined): FailureKind {
  return isUnavailable(status) && code !== 'cluster_refused' ? 'network' : 'failed'
}

function nextOf(status: number, code: string | undefined): string {
  const known = code !== undefined && Object.hasOwn(nextSteps, code) ? nextSteps[code] : undefined
  if (known !== undefined) return known
  if (isUnavailable(status))
    return 'wait until control is ready again (its /readyz says what is missing), then run it again'
  return status >= 500 ? "look into control's log under this request id" : 'correct it, then run it again'
}

function notOurs(answer: HttpAnswer, url: URL): Failure {
  const to = answer.location === undefined ? '' : `, pointing to ${answer.location}`
  return new Failure(
    isUnavailable(answer.status) ? 'network' : 'failed',
    `${url.href} answered ${answer.status}${to}`,
    {
      next: "check that AETHER_URL is that of Aether's control",
    },
  )
}
