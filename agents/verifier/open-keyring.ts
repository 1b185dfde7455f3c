// A keyring for an agent that may be idle for days: the curve's code is loaded once there is a key to look at.
import type { Keyring } from './keyring.ts'

/** `setting` is as createKeyring takes it. Rejects with ReasonError `key` at once where it is text that gives no key. */
export async function openKeyring(setting: string, field: string): Promise<Keyring> {
  const create = async () => (await import('./keyring.ts')).createKeyring(setting, field)
  return isKeyText(setting) ? create() : { load: async () => (await create()).load() }
}

/** Whether a setting is a key itself, and not the path of a file or folder that holds keys. */
export function isKeyText(text: string): boolean {
  // A padded base64 key may begin with a slash too, so it is tried first; no sensible path ends in `=`.
  return !/^\.{0,2}\//.test(text.trim()) || /^[A-Za-z0-9+/]{43}=/.test(text.trim())
}
