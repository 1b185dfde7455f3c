// What Kubernetes and Prometheus ask: open to everybody, and saying nothing of what is kept here.
import type { Registry } from '@aether/runtime/metrics'
import { Type } from 'typebox'
import type { Services } from '../domain/services.ts'
import type { Instance } from './request.ts'
import { oneOf, problems, strict } from './schemas.ts'

const tags = ['probes']
const security: readonly Record<string, readonly string[]>[] = []
const config = { rateLimit: false } as const
const fine = Type.Object({ status: oneOf(['ok']) }, strict)
const readiness = Type.Object({ status: oneOf(['ok', 'not ready']), faults: Type.Array(Type.String()) }, strict)

export function addProbeRoutes(instance: Instance, faults: Services['faults'], registry: Registry): void {
  const open = { tags, security }
  instance.get(
    '/healthz',
    {
      config,
      schema: { ...open, operationId: 'getHealth', summary: 'The process turns', response: { 200: fine } },
    },
    async () => ({ status: 'ok' as const }),
  )
  instance.get(
    '/startupz',
    {
      config,
      schema: { ...open, operationId: 'getStartup', summary: 'It has started', response: { 200: fine } },
    },
    // It listens last of all parts: whoever is answered here finds the rest started.
    async () => ({ status: 'ok' as const }),
  )
  instance.get(
    '/readyz',
    {
      config,
      schema: {
        ...open,
        operationId: 'getReadiness',
        summary: 'Database and cluster can be relied on',
        response: { 200: readiness, 503: readiness, ...problems('internal') },
      },
    },
    async (_request, reply) => {
      const found = [...(await faults())]
      if (found.length === 0) return { status: 'ok' as const, faults: [] }
      return reply.code(503).header('retry-after', '5').send({ status: 'not ready', faults: found })
    },
  )
  instance.get(
    '/metrics',
    {
      config,
      schema: {
        ...open,
        operationId: 'getMetrics',
        summary: 'For Prometheus',
        produces: ['text/plain'],
        response: { 200: Type.String(), ...problems('internal') },
      },
    },
    async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()),
  )
}
