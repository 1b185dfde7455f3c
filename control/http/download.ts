// HEAD and GET /artifacts/{digest}: the stable URL that annotations hold, and what stands beside the root of a tree. A digest names
// its bytes for ever, so whoever has them may keep them; part of them can be asked for by a range.

import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { ArtifactFile, Artifacts } from '../domain/services.ts'
import type { TreeFile } from '../domain/tree-files.ts'
import { artifactTypes, parseDigestPath } from './artifacts.ts'
import type { HttpMetrics } from './metrics.ts'
import { isKnown, parseRange } from './range.ts'
import { type Instance, principalOf } from './request.ts'
import { digestParams, emptyAnswer, noQuery, objectDigest, refusals } from './schemas.ts'

const [archiveType, otherType] = artifactTypes
const headers = Type.Object({
  range: Type.Optional(Type.String({ description: 'One range, as in `bytes=0-1023`.' })),
  'if-range': Type.Optional(Type.String()),
  'if-none-match': Type.Optional(Type.String()),
})

export function addDownloadRoutes(instance: Instance, artifacts: Artifacts, metrics: HttpMetrics): void {
  const common = { tags: ['artifacts'], querystring: noQuery }
  const answers = {
    ...bytesAnswer(200, 'All of it'),
    ...bytesAnswer(206, 'The range'),
    ...emptyAnswer(304, 'If-None-Match names it'),
    ...refusals('unknown_artifact', 'foreign_artifact', 'range', 'storage_unavailable'),
  }

  async function open(request: FastifyRequest, digest: string, file: 'itself' | TreeFile): Promise<ArtifactFile> {
    return artifacts.open(await artifacts.find(parseDigestPath(digest), principalOf(request)), file)
  }

  instance.head(
    '/artifacts/:digest',
    {
      config: { swagger: { exposeHeadRoute: true } },
      schema: {
        ...common,
        params: digestParams,
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
      const file = await open(request, request.params.digest, 'itself')
      await file.close()
      if (describe(file, request, reply)) return reply.code(304).send()
      return reply.header('content-length', file.bytes).type(typeOf(file)).send()
    },
  )

  instance.get(
    '/artifacts/:digest',
    {
      schema: {
        ...common,
        params: digestParams,
        operationId: 'getArtifact',
        summary: 'The bytes of an archive, or the root object of a tree; a pod gets its own app’s only',
        headers,
        response: answers,
      },
    },
    async (request, reply) => sendFile(await open(request, request.params.digest, 'itself'), request, reply, metrics),
  )

  const besides = [
    { suffix: 'full', operationId: 'getTreePack', summary: 'The full pack of a tree' },
    { suffix: 'index', operationId: 'getTreeIndex', summary: 'The index of the full pack' },
  ] as const
  for (const { suffix, operationId, summary } of besides)
    instance.get(
      `/artifacts/:digest.${suffix}`,
      {
        exposeHeadRoute: false,
        schema: { ...common, params: digestParams, operationId, summary, headers, response: answers },
      },
      async (request, reply) => sendFile(await open(request, request.params.digest, suffix), request, reply, metrics),
    )

  instance.get(
    '/artifacts/:digest.from-:from',
    {
      exposeHeadRoute: false,
      schema: {
        ...common,
        params: Type.Object({ ...digestParams.properties, from: objectDigest }, { additionalProperties: false }),
        operationId: 'getTreeDelta',
        summary: 'What a tree has and another tree of the same app has not',
        headers,
        response: answers,
      },
    },
    async (request, reply) => {
      const { digest, from } = request.params
      return sendFile(await open(request, digest, { from }), request, reply, metrics)
    },
  )
}

async function sendFile(
  file: ArtifactFile,
  request: FastifyRequest,
  reply: FastifyReply,
  metrics: HttpMetrics,
): Promise<FastifyReply> {
  try {
    const { bytes, etag } = file
    if (describe(file, request, reply)) {
      await file.close()
      return reply.code(304).send()
    }
    const range = rangeOf(request, file, reply, etag)
    const stream = await file.open(range)
    if (range !== null) reply.code(206).header('content-range', `bytes ${range.start}-${range.end}/${bytes}`)
    reply.header('content-length', range === null ? bytes : range.end - range.start + 1).type(typeOf(file))
    return reply.send(Readable.from(counted(stream, metrics), { objectMode: false }))
  } catch (error) {
    await file.close()
    throw error
  }
}

function typeOf({ isArchive }: ArtifactFile): string {
  return isArchive ? archiveType : otherType
}

/** Sets what every answer about an artifact carries; answers whether the caller has it already. */
function describe({ etag }: ArtifactFile, { headers: asked }: FastifyRequest, reply: FastifyReply): boolean {
  reply.header('etag', etag)
  reply.header('cache-control', 'private, max-age=31536000, immutable')
  reply.header('accept-ranges', 'bytes')
  return isKnown(asked['if-none-match'], etag)
}

function rangeOf({ headers: asked }: FastifyRequest, { bytes }: ArtifactFile, reply: FastifyReply, etag: string) {
  try {
    return parseRange(asked.range, one(asked['if-range']), etag, bytes)
  } catch (error) {
    reply.header('content-range', `bytes */${bytes}`)
    throw error
  }
}

function one(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header
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
  const schema = { type: 'string', format: 'binary' }
  return {
    [status]: { description, content: Object.fromEntries(artifactTypes.map((type) => [type, { schema }])) },
  }
}
