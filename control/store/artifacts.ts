// What was uploaded, app by app: two apps may have the same artifact, and each has its own row.
import { type Artifact, artifactKinds } from '../domain/model.ts'
import type { Store } from '../domain/ports.ts'
import { keyAfter, pageOf, sequencePattern } from './cursor.ts'
import type { Database, Query } from './database.ts'
import { allOf, bounded, firstOf, onlyOf, type Row } from './rows.ts'

export function createArtifacts(
  database: Database,
): Pick<Store, 'addArtifact' | 'findArtifact' | 'findServed' | 'appsOf' | 'isElsewhere' | 'listArtifacts'> {
  return {
    addArtifact: (artifact) => database.transaction((query) => insertArtifact(query, artifact)),

    async findArtifact(app, digest) {
      const rows = await database.read(
        'SELECT * FROM artifacts WHERE app = $1 AND digest = $2 AND retired_at IS NULL',
        [app, digest],
      )
      return firstOf(rows, artifactOf)
    },

    async findServed(app, digest) {
      const rows = await database.read('SELECT * FROM artifacts WHERE app = $1 AND digest = $2', [app, digest])
      return firstOf(rows, artifactOf)
    },

    async appsOf(digest) {
      const rows = await database.read(
        'SELECT app FROM artifacts WHERE digest = $1 AND retired_at IS NULL ORDER BY app COLLATE "C"',
        [digest],
      )
      return allOf(rows, (row) => row.text('app'))
    },

    async isElsewhere(digest, otherThan) {
      const rows = await database.read('SELECT 1 FROM artifacts WHERE digest = $1 AND app <> $2 LIMIT 1', [
        digest,
        otherThan,
      ])
      return rows.length > 0
    },

    async listArtifacts({ app }, page) {
      const rows = await database.read(
        `SELECT * FROM artifacts
         WHERE retired_at IS NULL AND ($1::text IS NULL OR app = $1) AND ($2::bigint IS NULL OR seq < $2)
         ORDER BY seq DESC LIMIT $3`,
        [app, keyAfter(page, sequencePattern), page.limit + 1],
      )
      return pageOf(rows, page, 'seq', artifactOf)
    },
  }
}

/**
 * Within a transaction. A release's signature takes the place of a development one, which is the older and the lesser. One that was
 * retired is an artifact as before.
 */
export async function insertArtifact(
  query: Query,
  artifact: Omit<Artifact, 'createdAt'>,
): Promise<{ readonly artifact: Artifact; readonly isNew: boolean }> {
  const { app, digest, kind, bytes, entries, commit, uploadedBy } = artifact
  const { signature, keyId, developmentSignature, developmentKeyId } = artifact
  const made = await query(
    `INSERT INTO artifacts
       (app, digest, signature, key_id, development_signature, development_key_id, kind, bytes, entries, commit, uploaded_by)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING RETURNING *`,
    [
      app,
      digest,
      signature,
      keyId,
      developmentSignature,
      developmentKeyId,
      kind,
      bytes,
      entries,
      bounded(commit),
      bounded(uploadedBy),
    ],
  )
  if (made.length > 0) return { artifact: onlyOf(made, artifactOf), isNew: true }
  const changes =
    signature !== null
      ? ', signature = $3, key_id = $4, development_signature = NULL, development_key_id = NULL'
      : developmentSignature !== null
        ? ', development_signature = $3, development_key_id = $4'
        : ''
  const values = changes === '' ? [] : [signature ?? developmentSignature, keyId ?? developmentKeyId]
  const kept = await query(
    `UPDATE artifacts SET sent_at = now(), retired_at = NULL${changes} WHERE app = $1 AND digest = $2 RETURNING *`,
    [app, digest, ...values],
  )
  return { artifact: onlyOf(kept, artifactOf), isNew: false }
}

export function artifactOf(row: Row): Artifact {
  return {
    app: row.text('app'),
    digest: row.digest('digest'),
    kind: row.oneOf('kind', artifactKinds),
    bytes: row.count('bytes'),
    entries: row.countOrNull('entries'),
    signature: row.textOrNull('signature'),
    keyId: row.textOrNull('key_id'),
    developmentSignature: row.textOrNull('development_signature'),
    developmentKeyId: row.textOrNull('development_key_id'),
    commit: row.textOrNull('commit'),
    uploadedBy: row.text('uploaded_by'),
    createdAt: row.time('created_at'),
  }
}
