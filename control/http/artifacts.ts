// Routes that tell of artifacts; upload.ts and download.ts move their bytes.

import { digestFromHex } from '@aether/contract/digest'
import { Type } from 'typebox'
import { type Artifact, artifactKinds } from '../domain/model.ts'
import type { Artifacts } from '../domain/services.ts'
import { type Instance, principalOf } from './request.ts'
import {
  appName,
  digest,
  digestParams,
  next,
  noQuery,
  oneOf,
  pageFields,
  pageOf,
  refusals,
  strict,
  time,
} from './schemas.ts'

const nullable = Type.Union([Type.String(), Type.Null()])

/** Content types of an artifact; both mean the same bytes, the first is how they are given out. */
export const artifactTypes = ['application/gzip', 'application/octet-stream'] as const

export const artifactBody = Type.Object(
  {
    app: appName,
    digest,
    kind: oneOf(artifactKinds, { description: 'An archive, or a tree (docs/artifact-format.md).' }),
    bytes: Type.Integer({ description: 'Of an archive as it is; of a tree those of its files.' }),
    entries: Type.Union([Type.Integer(), Type.Null()], { description: 'Of a tree.' }),
    signature: nullable,
    key_id: nullable,
    development_signature: nullable,
    development_key_id: nullable,
    commit: nullable,
    uploaded_by: Type.String(),
    created_at: time,
  },
  { ...strict, title: 'Artifact' },
)

export function addArtifactRoutes(instance: Instance, artifacts: Artifacts): void {
  const tags = ['artifacts']
  instance.get(
    '/artifacts',
    {
      schema: {
        operationId: 'listArtifacts',
        summary: 'Artifacts, newest first',
        tags,
        querystring: Type.Object({ app: Type.Optional(appName), ...pageFields }, strict),
        response: {
          200: Type.Object({ items: Type.Array(artifactBody), next }, strict),
          ...refusals('unknown_app'),
        },
      },
    },
    async (request) => {
      const { app = null, ...page } = request.query
      const paged = await artifacts.list(app, pageOf(page))
      return { items: paged.items.map(formatArtifact), next: paged.next }
    },
  )

  instance.get(
    '/artifacts/:digest/meta',
    {
      schema: {
        operationId: 'getArtifactMeta',
        summary: 'What is known of an artifact',
        tags,
        params: digestParams,
        querystring: noQuery,
        response: { 200: artifactBody, ...refusals('unknown_artifact') },
      },
    },
    async (request) =>
      formatArtifact(await artifacts.find(parseDigestPath(request.params.digest), principalOf(request))),
  )
}

/** With or without `sha256:`; the schema has seen that it is one of both. */
export function parseDigestPath(text: string) {
  return digestFromHex(text.replace(/^sha256:/, ''), 'path.digest')
}

export function formatArtifact(artifact: Artifact) {
  const { app, kind, bytes, entries, signature, commit } = artifact
  return {
    app,
    digest: artifact.digest,
    kind,
    bytes,
    entries,
    signature,
    key_id: artifact.keyId,
    development_signature: artifact.developmentSignature,
    development_key_id: artifact.developmentKeyId,
    commit,
    uploaded_by: artifact.uploadedBy,
    created_at: artifact.createdAt.toISOString(),
  }
}
