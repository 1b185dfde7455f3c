// What no route answers: 404 without a token, and 405 with Allow where the path is known, with a token where it needs one.
import type { RouteOptions } from 'fastify'
import { ControlError } from '../domain/errors.ts'
import type { Guard } from './auth.ts'
import { isOpen, isOperation } from './permissions.ts'
import { sendProblem } from './problem.ts'
import type { Instance } from './request.ts'

interface KnownPath {
  readonly methods: Set<string>
  needsToken: boolean
}

/** Before the routes: remembers them, and refuses to start with one that permissions.ts does not know. */
export function collectPaths(instance: Instance): ReadonlyMap<string, KnownPath> {
  const paths = new Map<string, KnownPath>()
  instance.addHook('onRoute', ({ url, method, schema }: RouteOptions) => {
    const operation = schema?.operationId
    if (operation === undefined && schema?.hide === true) return
    if (operation === undefined || !isOperation(operation))
      throw new Error(`${String(method)} ${url}: its operationId ${operation} has no row in permissions.ts`)
    const path = paths.get(url) ?? { methods: new Set(), needsToken: false }
    for (const one of [method].flat()) path.methods.add(one)
    path.needsToken ||= !isOpen(operation)
    paths.set(url, path)
  })
  return paths
}

/** After the routes. */
export function refuseUnknownRoutes(instance: Instance, paths: ReadonlyMap<string, KnownPath>, guard: Guard): void {
  for (const [url, { methods, needsToken }] of paths) {
    const allow = [...methods].toSorted().join(', ')
    instance.route({
      url,
      method: instance.supportedMethods.filter((method) => !methods.has(method)),
      schema: { hide: true },
      exposeHeadRoute: false,
      preParsing: async (request, reply) => {
        if (needsToken) await guard.authenticate(request, reply)
        reply.header('allow', allow)
        throw new ControlError('method_not_allowed', `${request.method} is not for ${url}: use ${allow}`)
      },
      handler: () => {},
    })
  }
  instance.setNotFoundHandler({ preHandler: instance.rateLimit() }, (request, reply) => {
    const path = request.url.split('?')[0]?.slice(0, 100)
    return sendProblem(
      new ControlError('not_found', `there is no ${request.method} ${path}: see /docs`),
      request,
      reply,
    )
  })
}
