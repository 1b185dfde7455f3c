// What a new pod starts with: control's word where there is a control, else the pod's own annotations.
import { readFile } from 'node:fs/promises'
import { parsePodinfo } from '@aether/contract/podinfo'
import { type ReasonError, refusal, toReasonError } from '@aether/contract/reasons'
import { parseTarget, type Target } from '@aether/contract/target'
import type { Authorize } from '@aether/runtime/control-token'
import type { Log } from '@aether/runtime/log'
import { askTarget } from './ask-control.ts'
import type { InitFetchConfig } from './config.ts'
import type { TerminationMessage } from './termination-message.ts'

/** Undefined where there is none, and none is needed. Throws ReasonError `control` or `target`. While control is waited for, `left` says so. */
export async function findTarget(
  config: InitFetchConfig,
  authorize: Authorize | undefined,
  log: Log,
  left: TerminationMessage,
  signal: AbortSignal,
): Promise<Target | undefined> {
  const { control, controlWaitMs: waitMs } = config
  if (control === undefined || authorize === undefined) return readTarget(config)
  let isWaiting = false
  function onWait(why: string): void {
    const message = `waiting for control, up to ${waitMs / 1000} s: ${why}`
    left.write({ reason: 'control', message })
    if (!isWaiting) log.warn({ url: control?.url }, message)
    isWaiting = true
  }
  try {
    // With TLS, which a pod without control has no use for.
    const { createControlClient } = await import('@aether/runtime/control-client')
    const client = createControlClient(control.url, authorize)
    const target = await askTarget({ client, waitMs, signal, onWait })
    if (isWaiting) left.clear()
    return target
  } catch (error) {
    const failure = toReasonError(error)
    if (signal.aborted || !takesAnnotations(config, failure)) throw failure
    log.warn({ err: failure }, "control gave no answer: going on with the pod's annotations, which may be old")
    left.clear()
    return await readTarget(config)
  }
}

/** An answer is an answer, also one that says no: only silence is made up for. */
function takesAnnotations(config: InitFetchConfig, failure: ReasonError): boolean {
  return config.controlFallback === 'annotations' && failure.detail === 'unreachable'
}

async function readTarget({ annotationsFile: path, noTarget }: InitFetchConfig): Promise<Target | undefined> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw refusal(
      'target',
      'digest_missing',
      `${path} cannot be read: mount the pod's annotations there (downwardAPI)`,
      { cause },
    )
  })
  const target = parseTarget(parsePodinfo(text))
  if (target !== undefined || noTarget === 'start') return target
  throw refusal(
    'target',
    'digest_missing',
    'the pod has no aether.dev/digest and aether.dev/artifact-url: annotate its template, so that a new pod knows what to run',
  )
}
