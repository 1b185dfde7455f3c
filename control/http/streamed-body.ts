// Bodies that go to the domain as they come and never lie in memory: few at once, and asked for when they are wanted.
import type { IncomingMessage } from 'node:http'
import { objectPackType } from '@aether/contract/control-api'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { ControlError } from '../domain/errors.ts'
import { artifactTypes } from './artifacts.ts'
import { askForBody } from './expect.ts'
import type { HttpMetrics } from './metrics.ts'
import type { Instance } from './request.ts'

/** Operations, and the content types that they take. */
export const streamedBodies: ReadonlyMap<string, string[]> = new Map([
  ['uploadArtifact', [...artifactTypes]],
  ['uploadObjects', [objectPackType]],
])

const mostAtOnce = 32

/** In a plugin of its own: its routes take these types, and no others. */
export function createStreamedBody(instance: Instance, types: readonly string[]) {
  let underWay = 0
  instance.removeAllContentTypeParsers()
  instance.addContentTypeParser([...types], (_request, _payload, done) => done(null))

  return async <T>(
    request: FastifyRequest,
    reply: FastifyReply,
    metrics: HttpMetrics,
    take: (body: AsyncIterable<Uint8Array>) => Promise<T>,
  ): Promise<T> => {
    // Without a body no parser was looked for.
    if (request.headers['content-type'] === undefined)
      throw new ControlError('media_type', `content-type is missing: send ${types.join(' or ')}`)
    if (underWay >= mostAtOnce)
      throw new ControlError('too_many', `${mostAtOnce} uploads are under way: try again in a few seconds`)
    underWay += 1
    try {
      return await take(bytesOf(request.raw, reply, metrics))
    } catch (error) {
      metrics.uploaded('refused')
      throw error
    } finally {
      underWay -= 1
    }
  }
}

/** Leaves the request open where the reader stops early, so that it can still be answered. */
async function* bytesOf(raw: IncomingMessage, reply: FastifyReply, metrics: HttpMetrics): AsyncGenerator<Uint8Array> {
  askForBody(raw, reply.raw)
  const chunks: AsyncIterable<Uint8Array> = raw.iterator({ destroyOnReturn: false })
  try {
    for await (const chunk of chunks) {
      metrics.received(chunk.length)
      yield chunk
    }
  } catch (cause) {
    throw new ControlError('truncated', 'the connection ended before the artifact did: send it again', { cause })
  }
}
