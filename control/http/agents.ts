// Routes that pods ask about themselves; which pod it is, its token says.
import { agentPaths } from '@aether/contract/control-api'
import { Type } from 'typebox'
import type { Agents } from '../domain/services.ts'
import { agentOf, type Instance } from './request.ts'
import { digest, emptyAnswer, noQuery, oneOf, refusals, strict, text } from './schemas.ts'

const nullable = Type.Union([Type.String(), Type.Null()])
const word = Type.Union([Type.String({ pattern: '^[a-z_]{1,40}$', maxLength: 40 }), Type.Null()])

export function addAgentRoutes(instance: Instance, agents: Agents): void {
  const tags = ['pods']
  instance.get(
    agentPaths.target,
    {
      schema: {
        operationId: 'getOwnTarget',
        summary: 'What the pod that asks is to start with',
        tags,
        querystring: noQuery,
        response: {
          200: Type.Object(
            { digest, artifact_url: Type.String(), signature: nullable, commit: nullable },
            { ...strict, title: 'SelfTarget' },
          ),
          ...refusals('not_found', 'unknown_artifact', 'development_only', 'cluster_refused', 'cluster_unavailable'),
        },
      },
    },
    async (request) => {
      const target = await agents.targetOf(agentOf(request))
      const { signature, commit } = target
      return { digest: target.digest, artifact_url: target.artifactUrl, signature, commit }
    },
  )

  instance.put(
    agentPaths.outcome,
    {
      schema: {
        operationId: 'putOwnOutcome',
        summary: 'What became of the last target of the pod that tells',
        tags,
        querystring: noQuery,
        body: Type.Object(
          {
            digest,
            outcome: oneOf(['ok', 'fail']),
            serving: Type.Union([digest, Type.Null()]),
            reason: word,
            detail: word,
            message: Type.Union([text(2000), Type.Null()]),
            // Whatever the app wrote: a byte in it is no reason to refuse the outcome.
            output: Type.Optional(
              Type.Union([Type.String({ maxLength: 4096 }), Type.Null()], {
                description: 'What the app wrote last; kept in environments for development alone.',
              }),
            ),
            ms: Type.Union([Type.Integer({ minimum: 0, maximum: 2_147_483_647 }), Type.Null()]),
          },
          { ...strict, title: 'Outcome' },
        ),
        response: {
          ...emptyAnswer(204, 'It is kept'),
          ...refusals('not_found', 'too_large', 'media_type'),
        },
      },
    },
    async (request, reply) => {
      await agents.report(agentOf(request), request.body)
      return reply.code(204).send()
    },
  )
}
