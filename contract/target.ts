// Target: what the annotations ask for. Parsed once, at the source; everything after it holds a Target.
import { annotations } from './annotations.ts'
import { type Digest, parseDigest } from './digest.ts'
import { refusal } from './reasons.ts'
import { parseTraceparent, type TraceContext } from './traceparent.ts'

// Not exported, so that only parseTarget can make a Target.
const made = Symbol('target')

export interface Target {
  readonly digest: Digest
  /** http(s), without credentials. */
  readonly artifactUrl: string
  /** As written; its form is the verifier's business. */
  readonly signature?: string
  /** The first 12 characters of the build's commit, of [0-9A-Za-z._-]; left out where it has others. */
  readonly commit?: string
  /** The trace that asked for it. */
  readonly trace?: TraceContext
  readonly [made]: true
}

/** What a source delivers: the target, or why the annotations do not make one. `undefined` where none is asked for. */
export type Asked = Target | undefined

/**
 * Parses a pod's annotations. Answers `undefined` where none of digest and artifact-url is present or
 * `aether.dev/dev-hot` is "false"; throws a ReasonError `target` that names the annotation otherwise.
 */
export function parseTarget(all: Readonly<Record<string, string>>): Asked {
  const digest = all[annotations.digest]
  const url = all[annotations.artifactUrl]
  if (!followsTargets(all[annotations.devHot])) return undefined
  if (digest === undefined && url === undefined) return undefined
  if (digest === undefined)
    throw refusal(
      'target',
      'digest_missing',
      `${annotations.digest} is missing while ${annotations.artifactUrl} is set: write both in one annotate`,
    )
  const parsed = parseDigest(digest, annotations.digest)
  if (url === undefined || url.trim() === '')
    throw refusal(
      'target',
      'url_missing',
      `${annotations.artifactUrl} is missing: write the http(s) URL of the artifact beside its digest`,
    )
  const signature = all[annotations.signature]?.trim()
  const commit = parseCommit(all[annotations.buildCommit])
  const trace = parseTraceparent(all[annotations.traceparent])
  return {
    digest: parsed,
    artifactUrl: parseArtifactUrl(url),
    ...(signature ? { signature } : {}),
    ...(commit ? { commit } : {}),
    ...(trace ? { trace } : {}),
    [made]: true,
  }
}

/** Parses the artifact's URL; credentials, other schemes and fragments of one are refused without being repeated. */
export function parseArtifactUrl(text: string, field: string = annotations.artifactUrl): string {
  if (!URL.canParse(text.trim()))
    throw refusal('target', 'url_malformed', `${field} is not a URL: write it whole, as in https://host/app.tar.gz`)
  const url = new URL(text.trim())
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw refusal('target', 'url_scheme', `${field} has the scheme ${url.protocol} and only http: and https: are taken`)
  if (url.username !== '' || url.password !== '')
    throw refusal(
      'target',
      'url_credentials',
      `${field} carries credentials (${redactUrl(text)}): annotations can be read by many, so publish under a URL without them`,
    )
  return url.href
}

/** A URL fit for a log: no credentials, no query, no fragment. */
export function redactUrl(text: string): string {
  if (!URL.canParse(text.trim())) return '(not a URL)'
  const url = new URL(text.trim())
  const credentials = url.username === '' && url.password === '' ? '' : '***@'
  return `${url.protocol}//${credentials}${url.host}${url.pathname}${url.search === '' ? '' : '?...'}`
}

/** Two targets ask for the same when digest, URL and signature are the same. */
export function isSameTarget(a: Asked, b: Asked): boolean {
  return a?.digest === b?.digest && a?.artifactUrl === b?.artifactUrl && a?.signature === b?.signature
}

function followsTargets(devHot: string | undefined): boolean {
  if (devHot === undefined || devHot === 'true') return true
  if (devHot === 'false') return false
  throw refusal(
    'target',
    'dev_hot_malformed',
    `${annotations.devHot} is ${JSON.stringify(devHot.slice(0, 20))}: write "true" to follow the annotations, "false" to stop`,
  )
}

function parseCommit(text: string | undefined): string | undefined {
  const short = text?.trim().slice(0, 12)
  return short !== undefined && /^[0-9A-Za-z._-]+$/.test(short) ? short : undefined
}
