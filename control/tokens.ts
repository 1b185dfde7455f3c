// The tokens of the API: AETHER_API_TOKENS, or one for an admin that is made at the first start. Only their sha256 goes
// on from here, and no message repeats one.
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Role, roles } from '@aether/contract/control-api'
import type { Log } from '@aether/runtime/log'
import type { Part } from '@aether/runtime/parts'
import type { Store } from './domain/ports.ts'

export interface ApiToken {
  readonly sha256: string
  readonly role: Role
  readonly user: string
}

const shortest = 16

/** `token:role:user,...`; throws an Error that counts the entries and shows none. */
export function parseTokens(text: string): readonly ApiToken[] {
  const tokens = text.split(',').map((entry, at) => parseToken(entry.trim(), `entry ${at + 1}`))
  if (new Set(tokens.map(({ sha256 }) => sha256)).size < tokens.length)
    throw new Error('two entries have the same token: give each user one of its own')
  return tokens
}

function parseToken(entry: string, which: string): ApiToken {
  const [token = '', role = '', user = '', ...more] = entry.split(':')
  const known = roles.find((one) => one === role)
  if (more.length > 0 || user === '') throw new Error(`${which} is not token:role:user (and a token holds no colon)`)
  if (known === undefined) throw new Error(`${which} has an unknown role: write one of ${roles.join(', ')}`)
  if (!/^[A-Za-z0-9._~+/=-]+$/.test(token))
    throw new Error(`${which} has a token that no header can hold: use letters, digits and . _ ~ + / = -`)
  if (token.length < shortest)
    throw new Error(
      `${which} has a token of ${token.length} characters: use at least ${shortest} (openssl rand -hex 32)`,
    )
  if (!/^[A-Za-z0-9._@-]{1,64}$/.test(user))
    throw new Error(`${which} has a user that is not 1 to 64 letters, digits and . _ @ -`)
  return { sha256: sha256Of(token), role: known, user }
}

/** The part that puts the tokens in force; nothing may listen before it. */
export function createTokens(
  config: { readonly tokens: readonly ApiToken[] | undefined; readonly dataDir: string },
  store: Pick<Store, 'setTokens'>,
  log: Pick<Log, 'info'>,
): Part {
  return {
    name: 'tokens',
    async start() {
      if (config.tokens !== undefined) return store.setTokens(config.tokens)
      const { token, path } = await loadAdminToken(config.dataDir)
      await store.setTokens([token])
      log.info({ path }, 'AETHER_API_TOKENS is not set: the token of an admin is in this file')
    },
    stop() {},
  }
}

/** The token in `<folder>/admin-token`, made where there is none, readable by its owner alone. */
async function loadAdminToken(folder: string): Promise<{ readonly token: ApiToken; readonly path: string }> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, 'admin-token')
  await writeFile(path, `${randomBytes(32).toString('hex')}\n`, { flag: 'wx', mode: 0o600 }).catch((error: unknown) => {
    if (!isExisting(error)) throw error
  })
  const text = (await readFile(path, 'utf8')).trim()
  if (text.length < shortest) throw new Error(`${path} holds no token: remove it, and the next start makes one`)
  return { token: { sha256: sha256Of(text), role: 'admin', user: 'admin' }, path }
}

function sha256Of(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}

function isExisting(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EEXIST'
}
