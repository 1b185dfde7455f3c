// Applications and the keys that they trust.
import { ControlError } from '../domain/errors.ts'
import type { App, PublicKeyRow } from '../domain/model.ts'
import type { Store } from '../domain/ports.ts'
import { keyAfter, pageOf } from './cursor.ts'
import type { Database } from './database.ts'
import { allOf, bounded, firstOf, onlyOf, type Row } from './rows.ts'

const namePattern = /^[a-z0-9][a-z0-9-]{0,39}$/

export function createApps(
  database: Database,
): Pick<Store, 'createApp' | 'findApp' | 'listApps' | 'addKey' | 'listKeys'> {
  return {
    createApp: (name) =>
      database.transaction(async (query) => {
        const made = await query('INSERT INTO applications (name) VALUES ($1) ON CONFLICT DO NOTHING RETURNING *', [
          name,
        ])
        const rows = made.length > 0 ? made : await query('SELECT * FROM applications WHERE name = $1', [name])
        return { app: onlyOf(rows, appOf), isNew: made.length > 0 }
      }),

    async findApp(name) {
      return firstOf(await database.read('SELECT * FROM applications WHERE name = $1', [name]), appOf)
    },

    async listApps(page) {
      const rows = await database.read(
        'SELECT * FROM applications WHERE $1::text IS NULL OR name > $1 ORDER BY name LIMIT $2',
        [keyAfter(page, namePattern), page.limit + 1],
      )
      return pageOf(rows, page, 'name', appOf)
    },

    addKey: ({ app, id, key, comment, isDevelopment }) =>
      database.transaction(async (query) => {
        const made = await query(
          `INSERT INTO public_keys (app, id, key, comment, is_development) VALUES ($1, $2, $3, $4, $5)
           ON CONFLICT DO NOTHING RETURNING *`,
          [app, id, key, bounded(comment), isDevelopment],
        )
        const rows =
          made.length > 0 ? made : await query('SELECT * FROM public_keys WHERE app = $1 AND id = $2', [app, id])
        const row = onlyOf(rows, keyOf)
        if (row.key !== key)
          throw new ControlError('conflict', `the app has another key with the id ${id}: make a new key`)
        return { key: row, isNew: made.length > 0 }
      }),

    async listKeys(app) {
      return allOf(
        await database.read('SELECT * FROM public_keys WHERE app = $1 ORDER BY created_at, id', [app]),
        keyOf,
      )
    },
  }
}

function appOf(row: Row): App {
  return { name: row.text('name'), createdAt: row.time('created_at') }
}

function keyOf(row: Row): PublicKeyRow {
  return {
    app: row.text('app'),
    id: row.text('id'),
    key: row.text('key'),
    comment: row.textOrNull('comment'),
    isDevelopment: row.flag('is_development'),
    createdAt: row.time('created_at'),
  }
}
