// Asks control what this pod starts with: the annotations of its template may be old (docs/adr/0006-new-pods-ask-control.md).
import { setTimeout as sleep } from 'node:timers/promises'
import { annotations } from '@aether/contract/annotations'
import { agentPaths, controlAudience, parseSelfTarget } from '@aether/contract/control-api'
import { type ReasonError, refusal } from '@aether/contract/reasons'
import { parseTarget, type Target } from '@aether/contract/target'
import type { ControlAnswer, ControlClient } from '@aether/runtime/control-client'

export interface AskOptions {
  readonly client: ControlClient
  readonly waitMs: number
  /** Ends the wait. */
  readonly signal: AbortSignal
  /** Told after each try that brought no answer why that was. */
  readonly onWait: (why: string) => void
}

const firstPauseMs = 500
const longestPauseMs = 5_000
const answerMs = 10_000
const leastAnswerMs = 1_000

/** Throws ReasonError `control`: at once where control says no; `unreachable` where it says nothing for `waitMs`. */
export async function askTarget({ client, waitMs, signal, onWait }: AskOptions): Promise<Target> {
  const deadline = performance.now() + waitMs
  for (let tries = 1; ; tries++) {
    const heard = await tryOnce(client, deadline - performance.now(), signal)
    if ('answer' in heard) return readTarget(heard.answer)
    const leftMs = deadline - performance.now()
    if (leftMs <= 0 || signal.aborted) throw unreachable(heard.why, waitMs, signal)
    onWait(heard.why)
    const backoffMs = Math.min(longestPauseMs, firstPauseMs * 2 ** (tries - 1)) * (0.5 + Math.random() / 2)
    // The last try comes when the time is up, so none of it is slept away.
    await sleep(Math.min(leftMs, heard.retryAfterMs + backoffMs), undefined, { signal }).catch(() => undefined)
  }
}

type Heard = { readonly answer: ControlAnswer } | { readonly why: string; readonly retryAfterMs: number }

async function tryOnce(client: ControlClient, leftMs: number, signal: AbortSignal): Promise<Heard> {
  const patienceMs = Math.ceil(Math.max(leastAnswerMs, Math.min(answerMs, leftMs)))
  const late = AbortSignal.timeout(patienceMs)
  try {
    const request = { method: 'GET', path: agentPaths.target } as const
    const answer = await client.send(request, AbortSignal.any([signal, late]))
    if (!isPassing(answer.status)) return { answer }
    return { why: `it answers ${answer.status}`, retryAfterMs: answer.retryAfterMs }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return { why: late.aborted ? `no answer in ${patienceMs} ms` : message, retryAfterMs: 0 }
  }
}

/** What the same question may overcome later. */
function isPassing(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || status >= 500
}

function readTarget({ status, body }: ControlAnswer): Target {
  if (status === 404)
    throw refusal(
      'control',
      'no_target',
      'control wants no digest for this pod (404): deploy its app, or mend AETHER_CONTROL_URL',
    )
  if (status === 401)
    throw refusal(
      'control',
      'refused',
      `control does not take the pod's token (401): mount a service-account token for the audience ${controlAudience} at AETHER_CONTROL_TOKEN_FILE`,
    )
  if (status === 403)
    throw refusal('control', 'refused', 'control refuses this pod (403): it belongs to no app that control runs')
  if (status !== 200)
    throw refusal(
      'control',
      'refused',
      `control answers ${status} to GET ${agentPaths.target}: mend AETHER_CONTROL_URL`,
    )
  if (body === undefined) throw malformed('it is too large')
  try {
    return parseAnswer(body)
  } catch (cause) {
    throw malformed(cause instanceof Error ? cause.message : 'unknown', cause)
  }
}

/** By way of the annotations it stands for: a target has one parser, whoever asks for it. */
function parseAnswer(body: string): Target {
  const { digest, artifactUrl, signature, commit } = parseSelfTarget(body)
  const target = parseTarget({
    [annotations.digest]: digest,
    [annotations.artifactUrl]: artifactUrl,
    ...(signature === null ? {} : { [annotations.signature]: signature }),
    ...(commit === null ? {} : { [annotations.buildCommit]: commit }),
  })
  if (target === undefined) throw new Error('it asks for nothing')
  return target
}

function malformed(why: string, cause?: unknown): ReasonError {
  return refusal(
    'control',
    'malformed',
    `control's answer makes no target (${why}): mend AETHER_CONTROL_URL, or bring control and agents to versions that go together`,
    { cause },
  )
}

function unreachable(why: string, waitMs: number, signal: AbortSignal): ReasonError {
  const ended = signal.aborted ? 'ended while waiting for control' : `control gave no target in ${waitMs / 1000} s`
  return refusal('control', 'unreachable', `${ended}: ${why}; bring it back, or mend AETHER_CONTROL_URL`)
}
