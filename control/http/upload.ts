// POST /artifacts: the body goes to the domain as it comes, and never lies in memory.

import type { IncomingMessage } from 'node:http'
import { uploadHeaders } from '@aether/contract/control-api'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { ControlError } from '../domain/errors.ts'
import type { Artifacts } from '../domain/services.ts'
import { artifactBody, artifactTypes, formatArtifact } from './artifacts.ts'
import { askForBody } from './expect.ts'
import type { HttpMetrics } from './metrics.ts'
import { type Instance, userOf } from './request.ts'
import { appName, digest, noQuery, refusals } from './schemas.ts'

const mostAtOnce = 32

/** In a plugin of its own: only this route takes these types, and it takes no others. */
export async function addUploadRoute(instance: Instance, artifacts: Artifacts, metrics: HttpMetrics): Promise<void> {
  let underWay = 0
  instance.removeAllContentTypeParsers()
  instance.addContentTypeParser([...artifactTypes], (_request, _payload, done) => done(null))

  instance.post(
    '/artifacts',
    {
      schema: {
        operationId: 'uploadArtifact',
        summary: 'Takes an artifact in, as it streams; 200 where the app had it before',
        description:
          'App, size and signature are looked at before the first byte is read, the digest after the last. Nothing is to be found before it is whole and held. With `Expect: 100-continue` a refusal costs no byte.',
        tags: ['artifacts'],
        querystring: noQuery,
        headers: Type.Object({
          [uploadHeaders.app]: appName,
          [uploadHeaders.digest]: digest,
          [uploadHeaders.signature]: Type.Optional(
            Type.String({
              pattern: '^[A-Za-z0-9+/=_:.-]{1,8192}$',
              maxLength: 8192,
              description: 'ed25519 over the 64 hex characters of the digest, as hex or base64.',
            }),
          ),
          [uploadHeaders.commit]: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9._/+-]{1,100}$', maxLength: 100 })),
        }),
        response: {
          200: artifactBody,
          201: artifactBody,
          ...refusals(
            'unknown_app',
            'truncated',
            'too_large',
            'media_type',
            'wrong_digest',
            'bad_signature',
            'signature_required',
            'storage_unavailable',
          ),
        },
      },
    },
    async (request, reply) => {
      // Without a body no parser was looked for.
      if (request.headers['content-type'] === undefined)
        throw new ControlError('media_type', `content-type is missing: send ${artifactTypes.join(' or ')}`)
      if (underWay >= mostAtOnce)
        throw new ControlError('too_many', `${mostAtOnce} uploads are under way: try again in a few seconds`)
      underWay += 1
      try {
        const { artifact, isNew } = await artifacts.upload({
          app: request.headers[uploadHeaders.app],
          digest: request.headers[uploadHeaders.digest],
          signature: request.headers[uploadHeaders.signature] ?? null,
          commit: request.headers[uploadHeaders.commit] ?? null,
          by: userOf(request).user,
          length: lengthOf(request),
          body: bytesOf(request.raw, reply, metrics),
        })
        metrics.uploaded(isNew ? 'new' : 'known')
        return reply.code(isNew ? 201 : 200).send(formatArtifact(artifact))
      } catch (error) {
        metrics.uploaded('refused')
        throw error
      } finally {
        underWay -= 1
      }
    },
  )
}

function lengthOf({ headers }: Pick<FastifyRequest, 'headers'>): number | null {
  return headers['content-length'] === undefined ? null : Number(headers['content-length'])
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
