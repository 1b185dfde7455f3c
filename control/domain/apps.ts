// Apps, and the public keys that an app's artifacts are signed under.
import { toReasonError } from '@aether/contract/reasons'
import { type PublicKey, parsePublicKeys } from '@aether/verifier/keys'
import { ControlError } from './errors.ts'
import type { App, AppName } from './model.ts'
import type { Store } from './ports.ts'
import type { Apps } from './services.ts'

type AppStore = Pick<Store, 'createApp' | 'findApp' | 'listApps' | 'addKey' | 'listKeys'>

const mostKeys = 20

export function createApps(store: AppStore): Apps {
  return {
    create: (name) => store.createApp(name),
    find: (name) => findApp(store, name),
    list: (page) => store.listApps(page),
    async addKey(app, text, comment, isDevelopment) {
      await findApp(store, app)
      const { id, raw } = parseOneKey(text)
      const known = await store.listKeys(app)
      if (known.length >= mostKeys && !known.some((key) => key.id === id))
        throw new ControlError('conflict', `${app} has ${mostKeys} keys, which is as many as an app may have`)
      const added = await store.addKey({ app, id, key: Buffer.from(raw).toString('hex'), comment, isDevelopment })
      if (added.key.isDevelopment === isDevelopment) return added
      const [is, other] = isDevelopment ? ['of releases', 'development'] : ['of development', 'releases']
      throw new ControlError('conflict', `key ${id} of ${app} is one ${is}: make another one for ${other}`, {
        field: 'body.is_development',
      })
    },
    async listKeys(app) {
      await findApp(store, app)
      return store.listKeys(app)
    },
  }
}

/** Throws ControlError `unknown_app`; `field` is where the name was written. */
export async function findApp(store: Pick<Store, 'findApp'>, name: AppName, field?: string): Promise<App> {
  const app = await store.findApp(name)
  if (app !== undefined) return app
  throw new ControlError(
    'unknown_app',
    `there is no app ${name}: make it first (aether apps create ${name})`,
    field === undefined ? {} : { field },
  )
}

function parseOneKey(text: string): PublicKey {
  let keys: readonly PublicKey[]
  try {
    keys = parsePublicKeys(text, 'key')
  } catch (cause) {
    throw new ControlError('bad_key', toReasonError(cause).message, { cause, field: 'body.key' })
  }
  const [key, ...more] = keys
  if (key !== undefined && more.length === 0) return key
  throw new ControlError('bad_key', `key holds ${keys.length} keys: register them one by one`, { field: 'body.key' })
}
