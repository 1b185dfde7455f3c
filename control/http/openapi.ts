// The document at /openapi.json, made of the routes' own schemas, and the page at /docs that shows it.
import { roles } from '@aether/contract/control-api'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifySchema } from 'fastify'
import type { Instance } from './request.ts'
import { streamedBodies } from './streamed-body.ts'

const description = `Keeps artifacts, keys and deployments, and moves what runs.

Every refusal is a problem of RFC 9457 (\`application/problem+json\`) with a \`code\` from a closed list. An \`x-request-id\` of
at most 64 letters, digits, \`.\`, \`_\` and \`-\` is taken over; the answer's names the request in log and audit. Roles: ${roles.join(', ')}.`

export async function addOpenApi(instance: Instance, version: string): Promise<void> {
  await instance.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Aether control', version, description },
      tags: ['apps', 'artifacts', 'deployments', 'pods', 'probes'].map((name) => ({ name })),
      components: {
        securitySchemes: {
          token: { type: 'http', scheme: 'bearer', description: "A token of AETHER_API_TOKENS, or a pod's own." },
        },
      },
      security: [{ token: [] }],
    },
    transform: ({ schema, url }) => ({ url, schema: documentedOf(schema) }),
  })
  await instance.register(swaggerUi, { routePrefix: '/docs', staticCSP: true })
}

/** After the routes, or it would show none. */
export function addOpenApiRoute(instance: Instance): void {
  instance.get('/openapi.json', { schema: { hide: true } }, async () => instance.swagger())
}

function documentedOf(schema: FastifySchema): FastifySchema {
  const { operationId } = schema
  // The plugin adds a suffix, for those that share the id of their GET.
  if (operationId === 'headArtifact-head') return { ...schema, operationId: 'headArtifact' }
  // A body that is a stream has no schema to validate by.
  const consumes = operationId === undefined ? undefined : streamedBodies.get(operationId)
  return consumes === undefined ? schema : { ...schema, consumes, body: { type: 'string', format: 'binary' } }
}
