// The pod's token for control goes to the origin of AETHER_CONTROL_URL and to nobody else: annotations and redirects
// choose URLs, and whoever chose one of them must not be given it.
import { open } from 'node:fs/promises'
import type { Log } from './log.ts'

export interface ControlSettings {
  /** http(s), without credentials, query and a slash at its end. */
  readonly url: string
  readonly tokenFile: string
}

/** Answers what a request to this URL carries as `Authorization`; `undefined` where that is nothing. Never rejects. */
export type Authorize = (url: string) => Promise<string | undefined>

const maxTokenBytes = 16 * 1024

export function createControlToken({ url, tokenFile }: ControlSettings, log: Pick<Log, 'warn'>): Authorize {
  const { origin } = new URL(url)
  let isWarned = false

  return async (asked) => {
    if (!isOfOrigin(asked, origin)) return undefined
    try {
      // Read at each use: the kubelet renews it.
      return `Bearer ${await readToken(tokenFile)}`
    } catch (error) {
      if (!isWarned) log.warn({ path: tokenFile, err: error }, 'control is asked without a token')
      isWarned = true
      return undefined
    }
  }
}

/** RFC 6454: scheme, host and port, as the URL's parser understands them and the client connects. */
function isOfOrigin(text: string, origin: string): boolean {
  if (!URL.canParse(text)) return false
  const url = new URL(text)
  return url.origin === origin && url.username === '' && url.password === ''
}

async function readToken(path: string): Promise<string> {
  const file = await open(path, 'r')
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(maxTokenBytes + 1), 0, maxTokenBytes + 1, 0)
    if (bytesRead > maxTokenBytes) throw new Error(`the token file has more than ${maxTokenBytes} bytes`)
    const token = buffer.toString('latin1', 0, bytesRead).trim()
    if (!/^[\x21-\x7e]+$/.test(token)) throw new Error('the token file holds no token: it is empty, or not one word')
    return token
  } finally {
    await file.close()
  }
}
