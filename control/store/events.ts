// What was done with a deployment, and what its pods said.
import { currentStatuses, type DeploymentEvent, eventActions, type NewEvent, type Report } from '../domain/model.ts'
import type { Store } from '../domain/ports.ts'
import type { Database, Query } from './database.ts'
import { allOf, bounded, type Row } from './rows.ts'

/** Within the transaction of the change that it tells of. */
export async function addEvent(query: Query, deploymentId: string, event: NewEvent): Promise<void> {
  await query(
    `INSERT INTO deployment_events (deployment_id, action, actor, from_digest, to_digest, status, reason, message)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
    [
      deploymentId,
      event.action,
      bounded(event.actor),
      event.fromDigest,
      event.toDigest,
      event.status,
      bounded(event.reason),
      bounded(event.message),
    ],
  )
}

export function createEvents(
  database: Database,
): Pick<Store, 'listEvents' | 'putReport' | 'listReports' | 'dropReports'> {
  return {
    async listEvents(deploymentId, limit) {
      const rows = await database.read(
        `SELECT * FROM (SELECT * FROM deployment_events WHERE deployment_id = $1 ORDER BY id DESC LIMIT $2) AS newest
         ORDER BY id`,
        [deploymentId, limit],
      )
      return allOf(rows, eventOf)
    },

    async putReport(deploymentId, report) {
      await database.write(
        `INSERT INTO deployment_reports
           (deployment_id, pod_uid, pod_name, digest, outcome, serving, reason, detail, message, ms, output)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         ON CONFLICT (deployment_id, pod_uid) DO UPDATE SET
           (pod_name, digest, outcome, serving, reason, detail, message, ms, output, at) =
           (excluded.pod_name, excluded.digest, excluded.outcome, excluded.serving, excluded.reason, excluded.detail,
            excluded.message, excluded.ms, excluded.output, now())`,
        [
          deploymentId,
          report.podUid,
          report.podName,
          report.digest,
          report.outcome,
          report.serving,
          bounded(report.reason),
          bounded(report.detail),
          bounded(report.message),
          report.ms,
          bounded(report.output ?? null),
        ],
      )
    },

    async listReports(deploymentId) {
      const rows = await database.read(
        'SELECT * FROM deployment_reports WHERE deployment_id = $1 ORDER BY pod_name COLLATE "C", pod_uid',
        [deploymentId],
      )
      return allOf(rows, reportOf)
    },

    async dropReports(deploymentId, podUids) {
      await database.write('DELETE FROM deployment_reports WHERE deployment_id = $1 AND pod_uid = ANY ($2::text[])', [
        deploymentId,
        podUids,
      ])
    },
  }
}

function eventOf(row: Row): DeploymentEvent {
  return {
    id: row.count('id'),
    deploymentId: row.text('deployment_id'),
    action: row.oneOf('action', eventActions),
    actor: row.text('actor'),
    fromDigest: row.digestOrNull('from_digest'),
    toDigest: row.digestOrNull('to_digest'),
    status: row.textOrNull('status') === null ? null : row.oneOf('status', currentStatuses),
    reason: row.textOrNull('reason'),
    message: row.textOrNull('message'),
    at: row.time('at'),
  }
}

function reportOf(row: Row): Report {
  return {
    podUid: row.text('pod_uid'),
    podName: row.text('pod_name'),
    digest: row.digest('digest'),
    outcome: row.oneOf('outcome', ['ok', 'fail']),
    serving: row.digestOrNull('serving'),
    reason: row.textOrNull('reason'),
    detail: row.textOrNull('detail'),
    message: row.textOrNull('message'),
    ms: row.countOrNull('ms'),
    output: row.textOrNull('output'),
    at: row.time('at'),
  }
}
