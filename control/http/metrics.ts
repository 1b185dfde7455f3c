// What the HTTP side counts. The route is its pattern, `none` where no route was met; never a path as it was asked.
import { metrics } from '@aether/contract/metric-names'
import { createCounter, createHistogram, type Registry } from '@aether/runtime/metrics'
import type { FastifyReply, FastifyRequest } from 'fastify'

const seconds = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120]

export type UploadOutcome = 'new' | 'known' | 'refused'

export interface HttpMetrics {
  ended(request: FastifyRequest, reply: FastifyReply, status: string): void
  uploaded(outcome: UploadOutcome): void
  received(bytes: number): void
  sent(bytes: number): void
}

export function createHttpMetrics(registry: Registry): HttpMetrics {
  const requests = createCounter(registry, metrics.httpRequestsTotal)
  const duration = createHistogram(registry, metrics.httpRequestDurationSeconds, seconds)
  const uploads = createCounter(registry, metrics.artifactsUploadedTotal)
  const uploadBytes = createCounter(registry, metrics.artifactUploadBytesTotal)
  const downloadBytes = createCounter(registry, metrics.artifactDownloadBytesTotal)
  return {
    ended(request, reply, status) {
      const { method } = request
      const { url = 'none', schema } = request.routeOptions
      // Wrong methods and the page of the docs have no operation, and need no series of their own.
      const route = schema?.operationId === undefined ? 'none' : url
      requests.inc({ method, route, status })
      duration.observe({ method, route }, reply.elapsedTime / 1000)
    },
    uploaded: (outcome) => uploads.inc({ outcome }),
    received: (bytes) => uploadBytes.inc({}, bytes),
    sent: (bytes) => downloadBytes.inc({}, bytes),
  }
}
