// The keys in force. A folder or file is read at each use, so a rotated Secret holds from the next refresh on;
// mounted Secrets are swapped through `..data`, and a read follows it.
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ReasonError, refusal } from '@aether/contract/reasons'
import { type PublicKey, parsePublicKeys } from './keys.ts'
import { isKeyText } from './open-keyring.ts'

export interface Keyring {
  /** The keys valid now, and the faults of files that give none. Throws ReasonError `key` where no key is left. */
  load(): Promise<{ readonly keys: readonly PublicKey[]; readonly faults: readonly ReasonError[] }>
}

const maxKeyFileBytes = 64 * 1024

/** `setting` is keys as text, or the path of a file or folder of keys; text is parsed at once, so a fault shows at start. */
export function createKeyring(setting: string, field: string): Keyring {
  if (isKeyText(setting)) {
    const keys = parsePublicKeys(setting, field)
    return { load: () => Promise.resolve({ keys, faults: [] }) }
  }
  return { load: () => loadFrom(setting, field) }
}

async function loadFrom(path: string, field: string) {
  const keys: PublicKey[] = []
  const faults: ReasonError[] = []
  for (const file of await keyFiles(path, field)) {
    try {
      if ((await stat(file)).size > maxKeyFileBytes)
        throw refusal('key', 'malformed', `${file} is larger than a file of keys may be (${maxKeyFileBytes} bytes)`)
      keys.push(...parsePublicKeys(await readFile(file, 'utf8'), file))
    } catch (error) {
      faults.push(
        error instanceof ReasonError
          ? error
          : refusal('key', 'unreadable', `${file} cannot be read as a file of keys`, { cause: error }),
      )
    }
  }
  if (keys.length > 0) return { keys, faults }
  throw (
    faults[0] ??
    refusal('key', 'missing', `${field} names ${path}, which holds no key: put one in, as hex, base64 or PEM`)
  )
}

async function keyFiles(path: string, field: string): Promise<readonly string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path]
    const names = await readdir(path)
    return names
      .filter((name) => !name.startsWith('.'))
      .toSorted()
      .map((name) => join(path, name))
  } catch (cause) {
    throw refusal('key', 'unreadable', `${field} names ${path}, which cannot be read: is the Secret mounted?`, {
      cause,
    })
  }
}
