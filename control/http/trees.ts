// How a tree comes: ask which of its objects are lacking, send those, register the root. Translation only.
import { mostAskedObjects } from '@aether/contract/control-api'
import { Type } from 'typebox'
import type { Trees } from '../domain/services.ts'
import { artifactBody, formatArtifact, parseDigestPath } from './artifacts.ts'
import type { HttpMetrics } from './metrics.ts'
import { type Instance, userOf } from './request.ts'
import {
  appName,
  appParams,
  commitText,
  digestParams,
  noQuery,
  objectDigest,
  refusals,
  signatureText,
  strict,
} from './schemas.ts'
import { createStreamedBody, streamedBodies } from './streamed-body.ts'

const tags = ['artifacts']
/** A digest as JSON has 67 bytes. */
const lackingBodyLimit = mostAskedObjects * 80

export function addTreeRoutes(instance: Instance, trees: Trees): void {
  instance.post(
    '/apps/:app/objects/lacking',
    {
      bodyLimit: lackingBodyLimit,
      schema: {
        operationId: 'findLackingObjects',
        summary: 'Which of these folder objects and files the app has to send',
        description:
          'What another app has is lacking all the same. What is there, and no tree names, stays for a day after it was sent or asked for.',
        tags,
        params: appParams,
        querystring: noQuery,
        body: Type.Object({ digests: Type.Array(objectDigest, { maxItems: mostAskedObjects }) }, strict),
        response: {
          200: Type.Object(
            {
              lacking: Type.Array(objectDigest),
              unproven: Type.Array(objectDigest, {
                description: 'Folder objects that are there while what they lead to may not be: ask for that too.',
              }),
            },
            strict,
          ),
          ...refusals('unknown_app', 'too_large', 'media_type'),
        },
      },
    },
    async (request) => {
      const { lacking, unproven } = await trees.lacking(request.params.app, [...new Set(request.body.digests)])
      return { lacking: [...lacking], unproven: [...unproven] }
    },
  )

  instance.put(
    '/apps/:app/trees/:digest',
    {
      schema: {
        operationId: 'registerTree',
        summary: 'Makes an artifact of a tree whose objects are all there; 200 where it was one before',
        tags,
        params: Type.Object({ app: appName, ...digestParams.properties }, strict),
        querystring: noQuery,
        body: Type.Object({ signature: Type.Optional(signatureText), commit: Type.Optional(commitText) }, strict),
        response: {
          200: artifactBody,
          201: artifactBody,
          ...refusals(
            'unknown_app',
            'unknown_artifact',
            'conflict',
            'incomplete',
            'too_large',
            'media_type',
            'bad_tree',
            'bad_signature',
            'signature_required',
            'storage_unavailable',
          ),
        },
      },
    },
    async (request, reply) => {
      const { signature = null, commit = null } = request.body
      const { app } = request.params
      const digest = parseDigestPath(request.params.digest)
      const { artifact, isNew } = await trees.register({ app, digest, signature, commit, by: userOf(request).user })
      return reply.code(isNew ? 201 : 200).send(formatArtifact(artifact))
    },
  )
}

/** In a plugin of its own: it takes a stream, and nothing else. */
export async function addObjectsRoute(instance: Instance, trees: Trees, metrics: HttpMetrics): Promise<void> {
  const takeBody = createStreamedBody(instance, streamedBodies.get('uploadObjects') ?? [])
  instance.post(
    '/apps/:app/objects',
    {
      schema: {
        operationId: 'uploadObjects',
        summary: 'Takes an object pack in, as it streams',
        description:
          'Each record is held against its digest. What came whole stays, however the stream ends: ask what is lacking, and send the rest.',
        tags,
        params: appParams,
        querystring: noQuery,
        response: {
          200: Type.Object({ objects: Type.Integer(), bytes: Type.Integer() }, strict),
          ...refusals(
            'unknown_app',
            'truncated',
            'too_large',
            'media_type',
            'wrong_digest',
            'bad_tree',
            'storage_unavailable',
          ),
        },
      },
    },
    async (request, reply) => takeBody(request, reply, metrics, (body) => trees.take(request.params.app, body)),
  )
}
