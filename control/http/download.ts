// HEAD and GET /artifacts/{digest}: the stable URL that annotations hold. A digest names its bytes for ever, so whoever
// has them may keep them; part of them can be asked for by a range.

import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { Artifact } from '../domain/model.ts'
import type { Artifacts } from '../domain/services.ts'
import { artifactTypes, parseDigestPath } from './artifacts.ts'
import type { HttpMetrics } from './metrics.ts'
import { isKnown, parseRange } from './range.ts'
import { type Instance, principalOf } from './request.ts'
import { digestParams, emptyAnswer, noQuery, refusals } from './schemas.ts'

const [archiveType] = artifactTypes
const headers = Type.Object({
  range: Type.Optional(Type.String({ description: 'One range, as in `bytes=0-1023`.' })),
  'if-range': Type.Optional(Type.String()),
  'if-none-match': Type.Optional(Type.String()),
})

export function addDownloadRoutes(instance: Instance, artifacts: Artifacts, metrics: HttpMetrics): void {
  const common = { tags: ['artifacts'], params: digestParams, querystring: noQuery }

  instance.head(
    '/artifacts/:digest',
    {
      config: { swagger: { exposeHeadRoute: true } },
      schema: {
        ...common,
        operationId: 'headArtifact',
        summary: 'Whether an artifact is there, and its size',
        headers: Type.Pick(headers, ['if-none-match']),
        response: {
          ...emptyAnswer(200, 'It is there'),
          ...emptyAnswer(304, 'If-None-Match names it'),
          ...refusals('unknown_artifact'),
        },
      },
    },
    async (request, reply) => {
      const artifact = await artifacts.find(parseDigestPath(request.params.digest), principalOf(request))
      if (describe(artifact, request, reply)) return reply.code(304).send()
      return reply.header('content-length', artifact.bytes).type(archiveType).send()
    },
  )

  instance.get(
    '/artifacts/:digest',
    {
      schema: {
        ...common,
        operationId: 'getArtifact',
        summary: 'The bytes of an artifact; a pod gets its own app’s only',
        headers,
        response: {
          ...bytesAnswer(200, 'All of it'),
          ...bytesAnswer(206, 'The range'),
          ...emptyAnswer(304, 'If-None-Match names it'),
          ...refusals('unknown_artifact', 'foreign_artifact', 'range', 'storage_unavailable'),
        },
      },
    },
    async (request, reply) => {
      const artifact = await artifacts.find(parseDigestPath(request.params.digest), principalOf(request))
      if (describe(artifact, request, reply)) return reply.code(304).send()
      const { bytes } = artifact
      const { range: asked, 'if-range': ifRange } = request.headers
      const range = rangeOf(asked, ifRange, artifact, reply)
      const stream = await artifacts.open(artifact, range)
      if (range !== null) reply.code(206).header('content-range', `bytes ${range.start}-${range.end}/${bytes}`)
      reply.header('content-length', range === null ? bytes : range.end - range.start + 1).type(archiveType)
      return reply.send(Readable.from(counted(stream, metrics), { objectMode: false }))
    },
  )
}

/** Sets what every answer about an artifact carries; answers whether the caller has it already. */
function describe({ digest }: Artifact, { headers: asked }: FastifyRequest, reply: FastifyReply): boolean {
  const etag = `"${digest}"`
  reply.header('etag', etag)
  reply.header('cache-control', 'private, max-age=31536000, immutable')
  reply.header('accept-ranges', 'bytes')
  return isKnown(asked['if-none-match'], etag)
}

function rangeOf(asked: string | undefined, ifRange: string | undefined, artifact: Artifact, reply: FastifyReply) {
  const { digest, bytes } = artifact
  try {
    return parseRange(asked, ifRange, `"${digest}"`, bytes)
  } catch (error) {
    reply.header('content-range', `bytes */${bytes}`)
    throw error
  }
}

/** Counts what goes out; ends the source where the client leaves. */
async function* counted(source: NodeJS.ReadableStream, metrics: HttpMetrics): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    const bytes = Buffer.from(chunk)
    metrics.sent(bytes.length)
    yield bytes
  }
}

function bytesAnswer(status: number, description: string): object {
  return {
    [status]: { description, content: { 'application/gzip': { schema: { type: 'string', format: 'binary' } } } },
  }
}
