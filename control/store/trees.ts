// What trees are made of, app by app, and in which pack it lies. An object is named once an artifact leads to it, and then all
// that it leads to is named too; what is not named may go.
import { ControlError } from '../domain/errors.ts'
import { objectKinds, type StoredPlace } from '../domain/model.ts'
import type { PackRef, Store } from '../domain/ports.ts'
import { insertArtifact } from './artifacts.ts'
import type { Database } from './database.ts'
import { allOf, inParts, type Row } from './rows.ts'

/** So old a time of asking is written anew; a newer one is new enough. */
const askedAnew = "interval '10 minutes'"

type TreeStore = Pick<
  Store,
  'renewObjects' | 'findObjects' | 'addObjects' | 'addTree' | 'collectObjects' | 'listPacks' | 'losePacks'
>

export function createTrees(database: Database): TreeStore {
  return {
    async renewObjects(app, digests) {
      for (const some of inParts(digests))
        await database.write(
          `WITH locked AS (
             SELECT digest FROM tree_objects
             WHERE app = $1 AND digest = ANY($2) AND NOT is_named AND asked_at < now() - ${askedAnew}
             ORDER BY digest FOR UPDATE)
           UPDATE tree_objects SET asked_at = now() FROM locked
           WHERE tree_objects.app = $1 AND tree_objects.digest = locked.digest`,
          [app, some],
        )
    },

    async findObjects(app, digests) {
      const found: StoredPlace[] = []
      for (const some of inParts(digests)) {
        const rows = await database.read('SELECT * FROM tree_objects WHERE app = $1 AND digest = ANY($2)', [app, some])
        found.push(...allOf(rows, placeOf))
      }
      return found
    },

    addObjects: (app, pack, objects) =>
      database.transaction(async (query) => {
        await query('INSERT INTO tree_packs (id, app) VALUES ($1, $2) ON CONFLICT DO NOTHING', [pack, app])
        // In order, so that two uploads of the same objects do not wait for each other in a circle.
        for (const some of inParts(objects))
          await query(
            `INSERT INTO tree_objects (app, pack, digest, kind, at, bytes)
             SELECT $1, $2, digest, kind, at, bytes
             FROM unnest($3::text[], $4::text[], $5::bigint[], $6::bigint[]) AS came (digest, kind, at, bytes)
             ORDER BY digest
             ON CONFLICT (app, digest) DO UPDATE SET asked_at = now()`,
            [
              app,
              pack,
              some.map(({ digest }) => digest),
              some.map(({ kind }) => kind),
              some.map(({ at }) => String(at)),
              some.map(({ bytes }) => String(bytes)),
            ],
          )
      }),

    addTree: (artifact, named) =>
      database.transaction(async (query) => {
        const { app, digest } = artifact
        let count = 0
        for (const some of inParts(named.toSorted())) {
          const rows = await query(
            `WITH locked AS (
               SELECT digest FROM tree_objects WHERE app = $1 AND digest = ANY($2) ORDER BY digest FOR UPDATE)
             UPDATE tree_objects SET is_named = true FROM locked
             WHERE tree_objects.app = $1 AND tree_objects.digest = locked.digest RETURNING locked.digest`,
            [app, some],
          )
          count += rows.length
        }
        if (count < named.length)
          throw new ControlError(
            'incomplete',
            `${named.length - count} objects of ${digest} are gone: ask again which are lacking, and send them`,
          )
        return insertArtifact(query, artifact)
      }),

    collectObjects: (seconds) =>
      database.transaction(async (query) => {
        const before = `now() - make_interval(secs => $1::double precision)`
        await query(`DELETE FROM tree_objects WHERE NOT is_named AND asked_at < ${before}`, [seconds])
        const rows = await query(
          `DELETE FROM tree_packs WHERE created_at < ${before}
             AND NOT EXISTS (SELECT 1 FROM tree_objects WHERE pack = tree_packs.id)
           RETURNING id, app`,
          [seconds],
        )
        return allOf(rows, packOf)
      }),

    async listPacks() {
      return allOf(await database.read('SELECT id, app FROM tree_packs'), packOf)
    },

    losePacks: (packs) =>
      database.transaction(async (query) => {
        const ids = packs.map(({ id }) => id)
        await query('DELETE FROM tree_objects WHERE pack = ANY($1)', [ids])
        await query('DELETE FROM tree_packs WHERE id = ANY($1)', [ids])
        await query('UPDATE tree_objects SET is_named = false, asked_at = now() WHERE app = ANY($1)', [
          [...new Set(packs.map(({ app }) => app))],
        ])
      }),
  }
}

function placeOf(row: Row): StoredPlace {
  return {
    digest: row.text('digest'),
    kind: row.oneOf('kind', objectKinds),
    pack: row.text('pack'),
    at: row.count('at'),
    bytes: row.count('bytes'),
    isNamed: row.flag('is_named'),
  }
}

function packOf(row: Row): PackRef {
  return { id: row.text('id'), app: row.text('app') }
}
