// Why a pod cannot start, read from its status: the first thing in its way, in the order in which a pod starts.
import { isReason, reasons } from '@aether/contract/reasons'
import { listAt, numberAt, textAt } from './json-path.ts'

export interface Fault {
  readonly reason: string
  readonly message: string
}

const imageReasons: ReadonlySet<string> = new Set([
  'ErrImagePull',
  'ImagePullBackOff',
  'InvalidImageName',
  'ErrImageNeverPull',
  'ImageInspectError',
  'RegistryUnavailable',
])
const containerReasons: ReadonlySet<string> = new Set([
  'CreateContainerConfigError',
  'CreateContainerError',
  'RunContainerError',
])
const maxMessageChars = 1000

export function podFault(pod: unknown): Fault | null {
  const containers = [...listAt(pod, 'status', 'initContainerStatuses'), ...listAt(pod, 'status', 'containerStatuses')]
  const init = containers.find((status) => textAt(status, 'name') === 'init-fetch')
  return unschedulable(pod) ?? first(containers, waitingFault) ?? firstFetchFault(init) ?? first(containers, crashFault)
}

function unschedulable(pod: unknown): Fault | null {
  for (const condition of listAt(pod, 'status', 'conditions'))
    if (textAt(condition, 'type') === 'PodScheduled' && textAt(condition, 'reason') === 'Unschedulable')
      return { reason: 'unschedulable', message: short(textAt(condition, 'message') ?? 'no node takes the pod') }
  return null
}

function waitingFault(status: unknown): Fault | null {
  const reason = textAt(status, 'state', 'waiting', 'reason') ?? ''
  const message = short(`${textAt(status, 'name')}: ${textAt(status, 'state', 'waiting', 'message') ?? reason}`)
  if (imageReasons.has(reason)) return { reason: 'image_pull', message }
  return containerReasons.has(reason) ? { reason: 'container_refused', message } : null
}

/** What init-fetch left; while it runs again, nothing is known yet. */
function firstFetchFault(status: unknown): Fault | null {
  const isBackOff = textAt(status, 'state', 'waiting', 'reason') === 'CrashLoopBackOff'
  const state = isBackOff ? 'lastState' : 'state'
  const code = numberAt(status, state, 'terminated', 'exitCode') ?? 0
  if (code === 0) return null
  const text = textAt(status, state, 'terminated', 'message') ?? ''
  const left = parseLeft(text)
  if (left !== undefined) return left
  const known = Object.keys(reasons).find((one) => isReason(one) && reasons[one].exitCode === code)
  const why = textAt(status, state, 'terminated', 'reason') ?? 'Error'
  const message = text === '' ? `init-fetch ended with exit code ${code} (${why})` : short(text)
  return { reason: known ?? 'internal', message }
}

function parseLeft(text: string): Fault | undefined {
  let left: unknown
  try {
    left = JSON.parse(text)
  } catch {
    return undefined
  }
  const reason = textAt(left, 'reason') ?? ''
  return isReason(reason) ? { reason, message: short(textAt(left, 'message') ?? '') } : undefined
}

/** One restart is no loop. */
function crashFault(status: unknown): Fault | null {
  const name = textAt(status, 'name') ?? ''
  if (name === 'init-fetch') return null
  const isBackOff = textAt(status, 'state', 'waiting', 'reason') === 'CrashLoopBackOff'
  const code = numberAt(status, isBackOff ? 'lastState' : 'state', 'terminated', 'exitCode') ?? 0
  const restarts = numberAt(status, 'restartCount') ?? 0
  if (!isBackOff && (code === 0 || restarts === 0)) return null
  const why = textAt(status, isBackOff ? 'lastState' : 'state', 'terminated', 'reason') ?? 'Error'
  return {
    reason: 'crash_loop',
    message: `the container ${name} ended with exit code ${code} (${why}) and was started ${restarts + 1} times`,
  }
}

function first(statuses: readonly unknown[], find: (status: unknown) => Fault | null): Fault | null {
  for (const status of statuses) {
    const fault = find(status)
    if (fault !== null) return fault
  }
  return null
}

export function short(text: string): string {
  return text.slice(0, maxMessageChars)
}
