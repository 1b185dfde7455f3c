// Artifacts that nobody uses: retired, and after a while removed.
import { ControlError } from '../domain/errors.ts'
import type { Store } from '../domain/ports.ts'
import { artifactOf } from './artifacts.ts'
import type { Database } from './database.ts'
import { allOf, inParts } from './rows.ts'

type Calls = 'retireArtifacts' | 'listRetired' | 'listTrees' | 'listNamed' | 'removeArtifacts'

/** Of a deployment, newest first: as many as a rollback looks through. */
const lastEvents = 50
/** Removed at once; the rest goes the next time. */
const mostAtOnce = 500

export function createRetirement(database: Database): Pick<Store, Calls> {
  return {
    async retireArtifacts(app, keep, seconds) {
      await database.write(
        `WITH live AS (
           SELECT id, digest FROM deployments WHERE app = $1 AND desired_status <> 'stopped'),
         used AS (
           SELECT digest FROM live
           UNION SELECT told.digest FROM live, deployment_reports AS report,
             LATERAL (VALUES (report.digest), (report.serving)) AS told (digest) WHERE report.deployment_id = live.id
           UNION SELECT moved.digest FROM live,
             LATERAL (SELECT from_digest, to_digest FROM deployment_events
                      WHERE deployment_id = live.id ORDER BY id DESC LIMIT ${lastEvents}) AS event,
             LATERAL (VALUES (event.from_digest), (event.to_digest)) AS moved (digest)),
         newest AS (SELECT seq FROM artifacts WHERE app = $1 ORDER BY sent_at DESC, seq DESC LIMIT $2::bigint),
         judged AS (
           SELECT seq, $2::bigint IS NULL OR sent_at > now() - make_interval(secs => $3::double precision)
             OR digest IN (SELECT digest FROM used WHERE digest IS NOT NULL) OR seq IN (SELECT seq FROM newest) AS stays
           FROM artifacts WHERE app = $1)
         UPDATE artifacts SET retired_at = CASE WHEN stays THEN NULL ELSE now() END
         FROM judged WHERE artifacts.seq = judged.seq AND stays <> (retired_at IS NULL)`,
        [app, keep, seconds],
      )
    },

    async listRetired(app, seconds) {
      const rows = await database.read(
        `SELECT * FROM artifacts WHERE app = $1 AND retired_at < now() - make_interval(secs => $2::double precision)
         ORDER BY seq LIMIT ${mostAtOnce}`,
        [app, seconds],
      )
      return allOf(rows, artifactOf)
    },

    async listTrees(app) {
      const rows = await database.read("SELECT digest FROM artifacts WHERE app = $1 AND kind = 'tree'", [app])
      return allOf(rows, (row) => row.digest('digest'))
    },

    async listNamed(app) {
      const rows = await database.read('SELECT digest FROM tree_objects WHERE app = $1 AND is_named', [app])
      return allOf(rows, (row) => row.text('digest'))
    },

    removeArtifacts: (app, digests, unnamed) =>
      database.transaction(async (query) => {
        const gone = await query(
          'DELETE FROM artifacts WHERE app = $1 AND digest = ANY($2) AND retired_at IS NOT NULL RETURNING digest',
          [app, digests],
        )
        if (gone.length < digests.length)
          throw new ControlError(
            'changed_meanwhile',
            `artifacts of ${app} were sent again while they were being removed`,
          )
        for (const some of inParts(unnamed))
          await query(
            'UPDATE tree_objects SET is_named = false, asked_at = now() WHERE app = $1 AND digest = ANY($2)',
            [app, some],
          )
      }),
  }
}
