// Deployments and their history. A write names the version that it read, so that two writers cannot undo each other.
import { currentStatuses, type Deployment, type DeploymentChange, desiredStatuses } from '../domain/model.ts'
import type { Store } from '../domain/ports.ts'
import { keyAfter, pageOf, sequencePattern } from './cursor.ts'
import type { Database, Value, Values } from './database.ts'
import { addEvent } from './events.ts'
import { allOf, bounded, firstOf, onlyOf, type Row, rowOf } from './rows.ts'

type Calls =
  | 'createDeployment'
  | 'findDeployment'
  | 'findLive'
  | 'listDeployments'
  | 'listLive'
  | 'changeDeployment'
  | 'countByStatus'

export function createDeployments(database: Database): Pick<Store, Calls> {
  return {
    createDeployment: (spec, digest, event) =>
      database.transaction(async (query) => {
        const rows = await query(
          `INSERT INTO deployments (app, namespace, environment, replicas, dev_hot, port, ready_path, env, digest)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING *`,
          [
            spec.app,
            spec.namespace,
            spec.environment,
            spec.replicas,
            spec.devHot,
            spec.port,
            spec.readyPath,
            spec.env,
            digest,
          ],
        )
        const deployment = onlyOf(rows, deploymentOf)
        await addEvent(query, deployment.id, event)
        return deployment
      }),

    async findDeployment(id) {
      return firstOf(await database.read('SELECT * FROM deployments WHERE id = $1', [id]), deploymentOf)
    },

    async findLive(namespace, app) {
      const rows = await database.read(
        "SELECT * FROM deployments WHERE namespace = $1 AND app = $2 AND desired_status <> 'stopped'",
        [namespace, app],
      )
      return firstOf(rows, deploymentOf)
    },

    async listDeployments({ app, namespace, withStopped }, page) {
      const rows = await database.read(
        `SELECT * FROM deployments
         WHERE ($1::text IS NULL OR app = $1) AND ($2::text IS NULL OR namespace = $2)
           AND ($3 OR desired_status <> 'stopped') AND ($4::bigint IS NULL OR seq < $4)
         ORDER BY seq DESC LIMIT $5`,
        [app, namespace, withStopped, keyAfter(page, sequencePattern), page.limit + 1],
      )
      return pageOf(rows, page, 'seq', deploymentOf)
    },

    async listLive() {
      return allOf(
        await database.read("SELECT * FROM deployments WHERE desired_status <> 'stopped' ORDER BY seq"),
        deploymentOf,
      )
    },

    changeDeployment: (id, version, change, event) =>
      database.transaction(async (query) => {
        const { sets, values } = setsOf(change)
        const rows = await query(
          `UPDATE deployments SET ${sets.join(', ')} WHERE id = $1 AND version = $2 RETURNING *`,
          [id, version, ...values],
        )
        const changed = firstOf(rows, deploymentOf)
        if (changed !== undefined && event !== null) await addEvent(query, id, event)
        return changed
      }),

    async countByStatus() {
      const counts: Record<Deployment['currentStatus'], number> = { pending: 0, syncing: 0, healthy: 0, failed: 0 }
      const rows = await database.read(
        "SELECT current_status, count(*) FROM deployments WHERE desired_status <> 'stopped' GROUP BY current_status",
      )
      for (const row of rows.map(rowOf)) counts[row.oneOf('current_status', currentStatuses)] = row.count('count')
      return counts
    },
  }
}

const columns: Readonly<Record<keyof DeploymentChange, string>> = {
  replicas: 'replicas',
  devHot: 'dev_hot',
  port: 'port',
  readyPath: 'ready_path',
  env: 'env',
  digest: 'digest',
  desiredStatus: 'desired_status',
  currentStatus: 'current_status',
  failureReason: 'failure_reason',
  failureMessage: 'failure_message',
  isApplied: 'is_applied',
  isTargetWritten: 'is_target_written',
  lastTransitionAt: 'last_transition_at',
  digestAt: 'digest_at',
}

/** The assignments of an UPDATE whose first two parameters are id and version, and the values of the others. */
function setsOf(change: DeploymentChange): { readonly sets: readonly string[]; readonly values: Values } {
  const given = new Map<string, Value | undefined>(Object.entries(change))
  if (change.failureReason !== undefined) given.set('failureReason', bounded(change.failureReason))
  if (change.failureMessage !== undefined) given.set('failureMessage', bounded(change.failureMessage))
  const sets = ['version = version + 1', 'updated_at = now()']
  const values: Value[] = []
  const parameters = new Map<string, string>()
  for (const [field, column] of Object.entries(columns)) {
    const value = given.get(field)
    if (value === undefined) continue
    parameters.set(field, `$${values.push(value) + 2}`)
    sets.push(`${column} = ${parameters.get(field)}`)
  }
  // The clocks follow what they are of, unless the writer sets them; on the right stands the row as it was.
  for (const [field, column, type, clockField, clock] of [
    ['currentStatus', 'current_status', 'text', 'lastTransitionAt', 'last_transition_at'],
    ['digest', 'digest', 'digest', 'digestAt', 'digest_at'],
  ] as const)
    if (parameters.has(field) && !parameters.has(clockField))
      sets.push(`${clock} = CASE WHEN ${column} = ${parameters.get(field)}::${type} THEN ${clock} ELSE now() END`)
  return { sets, values }
}

function deploymentOf(row: Row): Deployment {
  return {
    id: row.text('id'),
    version: row.count('version'),
    app: row.text('app'),
    namespace: row.text('namespace'),
    environment: row.text('environment'),
    replicas: row.count('replicas'),
    devHot: row.flag('dev_hot'),
    port: row.count('port'),
    readyPath: row.textOrNull('ready_path'),
    env: row.texts('env'),
    digest: row.digest('digest'),
    desiredStatus: row.oneOf('desired_status', desiredStatuses),
    currentStatus: row.oneOf('current_status', currentStatuses),
    failureReason: row.textOrNull('failure_reason'),
    failureMessage: row.textOrNull('failure_message'),
    isApplied: row.flag('is_applied'),
    isTargetWritten: row.flag('is_target_written'),
    createdAt: row.time('created_at'),
    updatedAt: row.time('updated_at'),
    lastTransitionAt: row.time('last_transition_at'),
    digestAt: row.time('digest_at'),
  }
}
