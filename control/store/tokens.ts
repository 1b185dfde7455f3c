// Who may ask, by the sha256 of the token alone; and what was asked.
import { roles } from '@aether/contract/control-api'
import type { Principal } from '../domain/model.ts'
import type { Store } from '../domain/ports.ts'
import type { Database, Query } from './database.ts'
import { bounded, firstOf, type Row } from './rows.ts'

export function createTokens(database: Database): Pick<Store, 'setTokens' | 'setAgentToken' | 'findToken' | 'audit'> {
  return {
    setTokens: (tokens) =>
      database.transaction(async (query) => {
        await lockTokens(query)
        await query(
          `UPDATE api_tokens SET revoked_at = now()
           WHERE source = 'configuration' AND revoked_at IS NULL AND sha256 <> ALL ($1::text[])`,
          [tokens.map(({ sha256 }) => sha256)],
        )
        for (const { sha256, role, user } of tokens)
          await query(
            `INSERT INTO api_tokens (sha256, source, role, user_name) VALUES ($1, 'configuration', $2, $3)
             ON CONFLICT (sha256) DO UPDATE SET source = excluded.source, role = excluded.role,
               user_name = excluded.user_name, namespace = NULL, app = NULL, revoked_at = NULL`,
            [sha256, role, user],
          )
      }),

    setAgentToken: (sha256, namespace, app) =>
      database.transaction(async (query) => {
        await lockTokens(query)
        await query(
          `UPDATE api_tokens SET revoked_at = now()
           WHERE source = 'agent' AND revoked_at IS NULL AND namespace = $1 AND app = $2 AND sha256 <> $3`,
          [namespace, app, sha256],
        )
        await query(
          `INSERT INTO api_tokens (sha256, source, namespace, app) VALUES ($1, 'agent', $2, $3)
           ON CONFLICT (sha256) DO UPDATE SET source = excluded.source, namespace = excluded.namespace,
             app = excluded.app, role = NULL, user_name = NULL, revoked_at = NULL`,
          [sha256, namespace, app],
        )
      }),

    async findToken(sha256) {
      const rows = await database.read('SELECT * FROM api_tokens WHERE sha256 = $1 AND revoked_at IS NULL', [sha256])
      return firstOf(rows, principalOf)
    },

    async audit({ actor, role, action, subject, requestId, outcome }) {
      await database.write(
        'INSERT INTO audit (actor, role, action, subject, request_id, outcome) VALUES ($1, $2, $3, $4, $5, $6)',
        [bounded(actor), bounded(role), bounded(action), bounded(subject), bounded(requestId), bounded(outcome)],
      )
    },
  }
}

/** One writer at a time: two replicas with two lists would lock the rows in two orders. */
async function lockTokens(query: Query): Promise<void> {
  await query('LOCK TABLE api_tokens IN SHARE ROW EXCLUSIVE MODE')
}

/** Agents on this machine are one to an app and namespace; their pod's name and uid are made of these. */
function principalOf(row: Row): Principal {
  if (row.oneOf('source', ['configuration', 'agent']) === 'configuration')
    return { kind: 'user', user: row.text('user_name'), role: row.oneOf('role', roles) }
  const [namespace, app] = [row.text('namespace'), row.text('app')]
  return { kind: 'agent', app, namespace, podUid: `local:${namespace}/${app}`, podName: app }
}
