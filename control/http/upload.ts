// POST /artifacts: the body goes to the domain as it comes, and never lies in memory.

import { uploadHeaders } from '@aether/contract/control-api'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { Artifacts } from '../domain/services.ts'
import { artifactBody, artifactTypes, formatArtifact } from './artifacts.ts'
import type { HttpMetrics } from './metrics.ts'
import { type Instance, userOf } from './request.ts'
import { appName, commitText, digest, noQuery, refusals, signatureText } from './schemas.ts'
import { createStreamedBody } from './streamed-body.ts'

/** In a plugin of its own: only this route takes these types, and it takes no others. */
export async function addUploadRoute(instance: Instance, artifacts: Artifacts, metrics: HttpMetrics): Promise<void> {
  const takeBody = createStreamedBody(instance, artifactTypes)

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
          [uploadHeaders.signature]: Type.Optional(signatureText),
          [uploadHeaders.commit]: Type.Optional(commitText),
        }),
        response: {
          200: artifactBody,
          201: artifactBody,
          ...refusals(
            'unknown_app',
            'conflict',
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
    async (request, reply) =>
      takeBody(request, reply, metrics, async (body) => {
        const { artifact, isNew } = await artifacts.upload({
          app: request.headers[uploadHeaders.app],
          digest: request.headers[uploadHeaders.digest],
          signature: request.headers[uploadHeaders.signature] ?? null,
          commit: request.headers[uploadHeaders.commit] ?? null,
          by: userOf(request).user,
          length: lengthOf(request),
          body,
        })
        metrics.uploaded(isNew ? 'new' : 'known')
        return reply.code(isNew ? 201 : 200).send(formatArtifact(artifact))
      }),
  )
}

function lengthOf({ headers }: Pick<FastifyRequest, 'headers'>): number | null {
  return headers['content-length'] === undefined ? null : Number(headers['content-length'])
}
