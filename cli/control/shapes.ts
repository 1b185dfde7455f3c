// What control answers, as far as the CLI reads it (control/domain/model.ts in snake case).
import { type DeploymentStatus, deploymentStatuses } from '@aether/contract/control-api'
import { type Answer, AnswerError } from '../basics/answer.ts'

export interface Deployment {
  readonly id: string
  readonly app: string
  readonly namespace: string
  readonly environment: string
  readonly digest: string
  readonly replicas: number
  readonly devHot: boolean
  readonly status: DeploymentStatus
  readonly desiredStatus: string
  readonly currentStatus: string
  readonly failureReason: string | null
  readonly failureMessage: string | null
  readonly updatedAt: string
}

export interface DeploymentEvent {
  readonly at: string
  readonly action: string
  readonly actor: string
  readonly fromDigest: string | null
  readonly toDigest: string | null
  readonly status: string | null
  readonly reason: string | null
  readonly message: string | null
}

export interface Pod {
  readonly name: string
  readonly digest: string
  readonly outcome: string
  readonly serving: string | null
  readonly reason: string | null
  readonly detail: string | null
  readonly message: string | null
  /** Of the app, in environments for development. */
  readonly output: string | null
  readonly ms: number | null
  readonly at: string
}

export interface DeploymentView {
  readonly deployment: Deployment
  readonly events: readonly DeploymentEvent[]
  readonly pods: readonly Pod[]
}

export function parseDeployment(answer: Answer): Deployment {
  const status = answer.text('status')
  const known = deploymentStatuses.find((one) => one === status)
  if (known === undefined) throw new AnswerError(`status is none of ${deploymentStatuses.join(', ')}`)
  return {
    id: answer.text('id'),
    app: answer.text('app'),
    namespace: answer.text('namespace'),
    environment: answer.textOrNull('environment') ?? '',
    digest: answer.text('digest'),
    replicas: answer.count('replicas'),
    devHot: answer.flag('dev_hot'),
    status: known,
    desiredStatus: answer.text('desired_status'),
    currentStatus: answer.text('current_status'),
    failureReason: answer.textOrNull('failure_reason'),
    failureMessage: answer.textOrNull('failure_message'),
    updatedAt: answer.text('updated_at'),
  }
}

export function parseDeploymentView(answer: Answer): DeploymentView {
  return {
    deployment: parseDeployment(answer),
    events: answer.items('events').map((event) => ({
      at: event.text('at'),
      action: event.text('action'),
      actor: event.text('actor'),
      fromDigest: event.textOrNull('from_digest'),
      toDigest: event.textOrNull('to_digest'),
      status: event.textOrNull('status'),
      reason: event.textOrNull('reason'),
      message: event.textOrNull('message'),
    })),
    pods: answer.items('pods').map((pod) => ({
      name: pod.text('pod'),
      digest: pod.text('digest'),
      outcome: pod.text('outcome'),
      serving: pod.textOrNull('serving'),
      reason: pod.textOrNull('reason'),
      detail: pod.textOrNull('detail'),
      message: pod.textOrNull('message'),
      output: pod.textOrNull('output'),
      ms: pod.countOrNull('ms'),
      at: pod.text('at'),
    })),
  }
}
