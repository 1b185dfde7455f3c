// buildApp makes the HTTP side and never listens; listen.ts does. A request passes, in this order:
//   1 its id and the headers of every answer   2 rate limit   3 token and permission   4 body   5 schema   6 route
//   7 the end: audit, drain, metrics, log

import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '@aether/runtime/log'
import type { Registry } from '@aether/runtime/metrics'
import rateLimit from '@fastify/rate-limit'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import { ControlError } from '../domain/errors.ts'
import type { AuditEntry } from '../domain/model.ts'
import type { Services } from '../domain/services.ts'
import { addAgentRoutes } from './agents.ts'
import { addAppRoutes } from './apps.ts'
import { addArtifactRoutes } from './artifacts.ts'
import { createAudit } from './audit.ts'
import { createGuard } from './auth.ts'
import { answerClientError } from './client-error.ts'
import { addDeploymentRoutes } from './deployments.ts'
import { addDownloadRoutes } from './download.ts'
import { drainRest } from './drain.ts'
import { askForBody } from './expect.ts'
import { createHttpMetrics } from './metrics.ts'
import { addOpenApi, addOpenApiRoute } from './openapi.ts'
import { addProbeRoutes } from './probes.ts'
import { sendProblem, toControlError } from './problem.ts'
import { readQuery } from './query.ts'
import type { Instance } from './request.ts'
import { requestIdHeader, requestIdOf } from './request-id.ts'
import { streamedBodies } from './streamed-body.ts'
import { addObjectsRoute, addTreeRoutes } from './trees.ts'
import { collectPaths, refuseUnknownRoutes } from './unknown-routes.ts'
import { addUploadRoute } from './upload.ts'

export interface HttpOptions {
  readonly services: Services
  readonly audit: (entry: AuditEntry) => Promise<void>
  readonly registry: Registry
  readonly log: Log
  readonly version: string
  /** Namespace of a deployment that names none; the only one that is taken, unless all are. */
  readonly namespace: string
  readonly allNamespaces: boolean
  /** Of one address in a minute. */
  readonly limits?: { readonly requests: number; readonly failedTokens: number }
}

const bodyLimit = 64 * 1024
const idleMs = 60_000
const longestRequestMs = 3_600_000
const longestEndMs = 2_000
const usualLimits = { requests: 60_000, failedTokens: 120 }

export async function buildApp(options: HttpOptions): Promise<Instance> {
  const { services, log, registry, limits = usualLimits } = options
  const metrics = createHttpMetrics(registry)
  const audit = createAudit(options.audit, log)
  const app: Instance = fastify({
    bodyLimit,
    connectionTimeout: idleMs,
    requestTimeout: longestRequestMs,
    return503OnClosing: false,
    // Node would answer by itself, and with no problem; the first hook asks instead.
    http: { requireHostHeader: false },
    routerOptions: { maxParamLength: 500 },
    genReqId: ({ headers }) => requestIdOf(headers),
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false, useDefaults: false, allErrors: false } },
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, request, reply) => {
      reply.header(requestIdHeader, request.id)
      void sendProblem(new ControlError('malformed', error.message, { cause: error }), request, reply)
    },
  }).withTypeProvider<TypeBoxTypeProvider>()

  const counted = new WeakSet<FastifyRequest>()
  function ended(request: FastifyRequest, reply: FastifyReply, status: string): void {
    if (counted.has(request)) return
    counted.add(request)
    metrics.ended(request, reply, status)
    const { method, id, routeOptions } = request
    const ms = Math.round(reply.elapsedTime)
    log.debug({ method, route: routeOptions.url, status, ms, request_id: id }, 'answered')
  }

  // A connection that is cut at the end ends before the handler of its request does.
  const open = new WeakSet<FastifyRequest>()
  let underWay = 0
  async function allEnded(): Promise<void> {
    const until = performance.now() + longestEndMs
    while (underWay > 0 && performance.now() < until) await sleep(10)
  }

  let closing = false
  app.decorateRequest('principal', null)
  app.decorateRequest('refusal', null)
  app.addHook('onRequest', async (request, reply) => {
    // Fastify's onResponse is not called for a client that left.
    reply.raw.once('close', () => ended(request, reply, '499'))
    open.add(request)
    underWay += 1
    // 1
    reply.headers({ [requestIdHeader]: request.id, 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' })
    if (request.headers.host === undefined && request.raw.httpVersion === '1.1')
      throw new ControlError('malformed', 'host is missing (RFC 9112, section 3.2)', { field: 'host' })
  })
  // 2
  await app.register(rateLimit, {
    max: limits.requests,
    timeWindow: 60_000,
    cache: 5000,
    addHeadersOnExceeding: { 'x-ratelimit-limit': false, 'x-ratelimit-remaining': false, 'x-ratelimit-reset': false },
    errorResponseBuilder: (_request, { after }) => new ControlError('too_many', `too many requests: again in ${after}`),
  })
  const guard = createGuard(app, services.authenticate, limits.failedTokens)
  app.addHook('preParsing', async (request, reply) => {
    // 3
    await guard.hook(request, reply)
    // The body is wanted now; an upload says so itself, later.
    if (!streamedBodies.has(request.routeOptions.schema?.operationId ?? '')) askForBody(request.raw, reply.raw)
  })
  app.addHook('preValidation', readQuery)
  app.addHook('onSend', async (request, reply) => {
    // 7
    audit.add(request)
    if (open.delete(request)) underWay -= 1
    const isSending = drainRest(request.raw)
    // Fastify says close after a body that it refused, which would reset a client that is still sending.
    if (isSending) reply.header('connection', 'keep-alive')
    if (closing) reply.header('connection', 'close')
  })
  app.addHook('onResponse', async (request, reply) => ended(request, reply, String(reply.statusCode)))
  app.setErrorHandler((thrown, request, reply) => {
    const error = toControlError(thrown) ?? new ControlError('internal', 'a fault of ours: tell the request id')
    const fields = { err: thrown, request_id: request.id, method: request.method, route: request.routeOptions.url }
    if (error.code === 'internal') log.error(fields, 'a request failed')
    else if (error.code.endsWith('_unavailable')) log.warn(fields, 'a request was refused')
    return sendProblem(error, request, reply)
  })

  await addOpenApi(app, options.version)
  const paths = collectPaths(app)
  addProbeRoutes(app, services.faults, registry)
  addAppRoutes(app, services.apps)
  addArtifactRoutes(app, services.artifacts)
  addDownloadRoutes(app, services.artifacts, metrics)
  await app.register(async (scope: Instance) => addUploadRoute(scope, services.artifacts, metrics))
  addTreeRoutes(app, services.trees)
  await app.register(async (scope: Instance) => addObjectsRoute(scope, services.trees, metrics))
  addDeploymentRoutes(app, services.deployments, options)
  addAgentRoutes(app, services.agents)
  addOpenApiRoute(app)
  refuseUnknownRoutes(app, new Map(paths), guard)

  app.server.on('checkContinue', (request, response) => app.routing(request, response))
  app.addHook('preClose', async () => {
    closing = true
  })
  app.addHook('onClose', async () => {
    await allEnded()
    await audit.settled()
  })
  return app
}
