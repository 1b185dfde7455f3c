// Routes of deployments: translation only.
import { Type } from 'typebox'
import { ControlError } from '../domain/errors.ts'
import type { Deployments } from '../domain/services.ts'
import {
  changeFields,
  deploymentBody,
  deploymentViewBody,
  formatDeployment,
  formatView,
  idParams,
  newFields,
  parseChange,
  parseSpec,
} from './deployment-body.ts'
import { type Instance, userOf } from './request.ts'
import {
  appName,
  digest,
  emptyAnswer,
  namespace,
  next,
  noQuery,
  pageFields,
  pageOf,
  refusals,
  strict,
} from './schemas.ts'

export interface Namespaces {
  readonly namespace: string
  readonly allNamespaces: boolean
}

export function addDeploymentRoutes(instance: Instance, deployments: Deployments, namespaces: Namespaces): void {
  const tags = ['deployments']
  const written = [
    'unknown_artifact',
    'foreign_artifact',
    'development_only',
    'conflict',
    'too_large',
    'media_type',
  ] as const

  instance.post(
    '/deployments',
    {
      schema: {
        operationId: 'createDeployment',
        summary: 'Runs an app with an artifact; conflict where it runs in that namespace already',
        tags,
        querystring: noQuery,
        body: Type.Object(newFields, strict),
        response: { 201: deploymentBody, ...refusals('unknown_app', ...written) },
      },
    },
    async (request, reply) => {
      const { app, digest: wanted } = request.body
      const spec = { ...parseSpec(request.body, namespaces.namespace), app }
      if (!namespaces.allNamespaces && spec.namespace !== namespaces.namespace)
        throw new ControlError(
          'forbidden',
          `only the namespace ${namespaces.namespace} is looked after (AETHER_DEV_HOT_MULTI_NS)`,
          {
            field: 'body.namespace',
          },
        )
      const deployment = await deployments.create(spec, wanted, userOf(request).user)
      return reply.code(201).header('location', `/deployments/${deployment.id}`).send(formatDeployment(deployment))
    },
  )

  instance.get(
    '/deployments',
    {
      schema: {
        operationId: 'listDeployments',
        summary: 'Deployments, newest first',
        tags,
        querystring: Type.Object(
          {
            app: Type.Optional(appName),
            namespace: Type.Optional(namespace),
            with_stopped: Type.Optional(Type.Boolean({ default: false })),
            ...pageFields,
          },
          strict,
        ),
        response: { 200: Type.Object({ items: Type.Array(deploymentBody), next }, strict), ...refusals() },
      },
    },
    async (request) => {
      const { app = null, namespace: within = null, with_stopped: withStopped = false, ...page } = request.query
      const paged = await deployments.list({ app, namespace: within, withStopped }, pageOf(page))
      return { items: paged.items.map(formatDeployment), next: paged.next }
    },
  )

  instance.get(
    '/deployments/:id',
    {
      schema: {
        operationId: 'getDeployment',
        summary: 'One deployment, with its last events and what its pods said',
        tags,
        params: idParams,
        querystring: noQuery,
        response: { 200: deploymentViewBody, ...refusals('not_found') },
      },
    },
    async (request) => formatView(await deployments.view(request.params.id)),
  )

  instance.patch(
    '/deployments/:id',
    {
      schema: {
        operationId: 'changeDeployment',
        summary: 'Another digest is a rollout, the rest an update; what is not named stays',
        tags,
        params: idParams,
        querystring: noQuery,
        body: Type.Object(changeFields, { ...strict, minProperties: 1 }),
        response: { 200: deploymentBody, ...refusals('not_found', 'changed_meanwhile', ...written) },
      },
    },
    async (request) => {
      const change = parseChange(request.body)
      return formatDeployment(await deployments.change(request.params.id, change, userOf(request).user))
    },
  )

  instance.post(
    '/deployments/:id/rollback',
    {
      schema: {
        operationId: 'rollbackDeployment',
        summary: 'Back to the digest that served before, or to the one named',
        tags,
        params: idParams,
        querystring: noQuery,
        body: Type.Object({ digest: Type.Optional(digest) }, strict),
        response: { 200: deploymentBody, ...refusals('not_found', 'changed_meanwhile', ...written) },
      },
    },
    async (request) => {
      const { digest: to = null } = request.body
      return formatDeployment(await deployments.rollback(request.params.id, to, userOf(request).user))
    },
  )

  instance.delete(
    '/deployments/:id',
    {
      schema: {
        operationId: 'stopDeployment',
        summary: 'Takes the app out of the cluster; the history stays',
        tags,
        params: idParams,
        querystring: noQuery,
        response: {
          ...emptyAnswer(204, 'It is stopped'),
          ...refusals(
            'not_found',
            'conflict',
            'changed_meanwhile',
            'too_large',
            'media_type',
            'cluster_refused',
            'cluster_unavailable',
          ),
        },
      },
    },
    async (request, reply) => {
      await deployments.stop(request.params.id, userOf(request).user)
      return reply.code(204).send()
    },
  )
}
