// The keys in force. A folder or file is read at each use, so a rotated Secret holds from the next refresh on;
// mounted Secrets are swapped through `..data`, and a read follows it.
import { readdirSync, readFileSync, statSync } from 'node:fs'
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
  // oxlint-disable-next-line require-await -- the faults of files are a rejection
  return { load: async () => loadFrom(setting, field) }
}

const parsed = new Map<string, readonly PublicKey[]>()
const mostParsed = 32

/** Whether a point may be trusted takes milliseconds, and the files are mostly what they were. */
function parseAgain(text: string, file: string): readonly PublicKey[] {
  const known = parsed.get(text)
  if (known !== undefined) return known
  const keys = parsePublicKeys(text, file)
  if (parsed.size >= mostParsed) parsed.clear()
  parsed.set(text, keys)
  return keys
}

function loadFrom(path: string, field: string) {
  const keys: PublicKey[] = []
  const faults: ReasonError[] = []
  for (const file of keyFiles(path, field)) {
    try {
      if (statSync(file).size > maxKeyFileBytes)
        throw refusal('key', 'malformed', `${file} is larger than a file of keys may be (${maxKeyFileBytes} bytes)`)
      keys.push(...parseAgain(readFileSync(file, 'utf8'), file))
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

function keyFiles(path: string, field: string): readonly string[] {
  try {
    if (!statSync(path).isDirectory()) return [path]
    const names = readdirSync(path)
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
