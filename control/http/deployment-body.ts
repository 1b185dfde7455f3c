// Deployments as JSON: snake_case outside, the model's words inside.
import { deploymentStatuses } from '@aether/contract/control-api'
import { type Static, Type } from 'typebox'
import {
  currentStatuses,
  type Deployment,
  desiredStatuses,
  eventActions,
  type Report,
  statusOf,
} from '../domain/model.ts'
import type { DeploymentView } from '../domain/services.ts'
import { appName, digest, namespace, oneOf, strict, text, time } from './schemas.ts'

const nullableText = Type.Union([Type.String(), Type.Null()])
const nullableDigest = Type.Union([digest, Type.Null()])

const environment = Type.String({
  pattern: '^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$',
  maxLength: 40,
  examples: ['production'],
})
const replicas = Type.Integer({ minimum: 0, maximum: 1000, examples: [2] })
const devHot = Type.Boolean({
  description: 'Releases replace each other in the live pods; otherwise each makes new pods.',
})
const port = Type.Integer({ minimum: 1, maximum: 65_535, examples: [8080] })
const readyPath = Type.Union([
  Type.String({ pattern: "^/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*$", maxLength: 200, examples: ['/readyz'] }),
  Type.Null(),
])
const env = Type.Unsafe<Record<string, string>>({
  type: 'object',
  propertyNames: { pattern: '^[A-Za-z_][A-Za-z0-9_]{0,127}$' },
  additionalProperties: text(4096),
  maxProperties: 64,
  examples: [{ GREETING: 'hello' }],
})

export const idParams = Type.Object(
  {
    id: Type.String({
      pattern: '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$',
      examples: ['0193b8f0-7c1e-7aaa-8000-000000000000'],
    }),
  },
  strict,
)

export const changeFields = {
  digest: Type.Optional(digest),
  replicas: Type.Optional(replicas),
  dev_hot: Type.Optional(devHot),
  port: Type.Optional(port),
  ready_path: Type.Optional(readyPath),
  env: Type.Optional(env),
}
export const newFields = {
  ...changeFields,
  app: appName,
  digest,
  namespace: Type.Optional(namespace),
  environment: Type.Optional(environment),
}

const changeBody = Type.Object(changeFields)
const newBody = Type.Object(newFields)

const fields = {
  id: Type.String(),
  app: appName,
  namespace: Type.String(),
  environment: Type.String(),
  digest,
  status: oneOf(deploymentStatuses, { description: 'In a word; `current_status` is finer.' }),
  current_status: oneOf(currentStatuses),
  desired_status: oneOf(desiredStatuses),
  failure_reason: nullableText,
  failure_message: nullableText,
  replicas: Type.Integer(),
  dev_hot: devHot,
  port: Type.Integer(),
  ready_path: nullableText,
  env: Type.Unsafe<Record<string, string>>({ type: 'object', additionalProperties: { type: 'string' } }),
  version: Type.Integer({ description: 'Grows by one with each write.' }),
  created_at: time,
  updated_at: time,
  last_transition_at: time,
  digest_at: time,
}
export const deploymentBody = Type.Object(fields, { ...strict, title: 'Deployment' })

const eventBody = Type.Object(
  {
    id: Type.Integer(),
    at: time,
    action: oneOf(eventActions),
    actor: Type.String(),
    from_digest: nullableDigest,
    to_digest: nullableDigest,
    status: Type.Union([oneOf(currentStatuses), Type.Null()]),
    reason: nullableText,
    message: nullableText,
  },
  { ...strict, title: 'DeploymentEvent' },
)
const podBody = Type.Object(
  {
    pod: Type.String(),
    digest,
    outcome: oneOf(['ok', 'fail']),
    serving: nullableDigest,
    reason: nullableText,
    detail: nullableText,
    message: nullableText,
    output: nullableText,
    ms: Type.Union([Type.Number(), Type.Null()]),
    at: time,
  },
  { ...strict, title: 'PodReport' },
)
export const deploymentViewBody = Type.Object(
  { ...fields, events: Type.Array(eventBody), pods: Type.Array(podBody) },
  { ...strict, title: 'DeploymentView' },
)

/** With what is left out filled in. */
export function parseSpec(body: Static<typeof newBody>, ownNamespace: string) {
  return {
    namespace: body.namespace ?? ownNamespace,
    environment: body.environment ?? 'default',
    replicas: body.replicas ?? 1,
    devHot: body.dev_hot ?? false,
    port: body.port ?? 8080,
    readyPath: body.ready_path ?? null,
    env: body.env ?? {},
  }
}

/** Only what is named; null is a value of ready_path. */
export function parseChange(body: Static<typeof changeBody>) {
  return {
    ...(body.digest === undefined ? {} : { digest: body.digest }),
    ...(body.replicas === undefined ? {} : { replicas: body.replicas }),
    ...(body.dev_hot === undefined ? {} : { devHot: body.dev_hot }),
    ...(body.port === undefined ? {} : { port: body.port }),
    ...(body.ready_path === undefined ? {} : { readyPath: body.ready_path }),
    ...(body.env === undefined ? {} : { env: body.env }),
  }
}

export function formatDeployment(deployment: Deployment) {
  return {
    id: deployment.id,
    app: deployment.app,
    namespace: deployment.namespace,
    environment: deployment.environment,
    digest: deployment.digest,
    status: statusOf(deployment),
    current_status: deployment.currentStatus,
    desired_status: deployment.desiredStatus,
    failure_reason: deployment.failureReason,
    failure_message: deployment.failureMessage,
    replicas: deployment.replicas,
    dev_hot: deployment.devHot,
    port: deployment.port,
    ready_path: deployment.readyPath,
    env: { ...deployment.env },
    version: deployment.version,
    created_at: deployment.createdAt.toISOString(),
    updated_at: deployment.updatedAt.toISOString(),
    last_transition_at: deployment.lastTransitionAt.toISOString(),
    digest_at: deployment.digestAt.toISOString(),
  }
}

export function formatView({ deployment, events, pods }: DeploymentView) {
  return {
    ...formatDeployment(deployment),
    events: events.map(({ id, at, action, actor, fromDigest, toDigest, status, reason, message }) => ({
      id,
      at: at.toISOString(),
      action,
      actor,
      from_digest: fromDigest,
      to_digest: toDigest,
      status,
      reason,
      message,
    })),
    pods: pods.map(formatReport),
  }
}

function formatReport({ podName: pod, digest: asked, outcome, serving, reason, detail, message, ms, ...more }: Report) {
  const { output = null, at } = more
  return { pod, digest: asked, outcome, serving, reason, detail, message, output, ms, at: at.toISOString() }
}
