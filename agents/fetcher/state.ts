// state.json: what the fetcher must not forget over a restart (activation step 9).
import { readFile } from 'node:fs/promises'
import { type Digest, parseDigest } from '@aether/contract/digest'
import { isObject, parseFields } from '@aether/contract/json'
import { parseTarget, type Target } from '@aether/contract/target'
import { writeFileAtomic } from '@aether/runtime/atomic-file'

export interface FetcherState {
  /** Failures since the last success. */
  readonly failures: number
  /** Id of the last activation whose outcome was reported, so that a restart does not say it again. */
  readonly reported: number
  /** The release reported as serving last; null before the first. */
  readonly lastDigest: Digest | null
  /** The annotations it came with, to tell a forgotten signature or URL from a wrong one. */
  readonly served: Readonly<Record<string, string>>
  /** A digest that did not come up, and the annotations that asked for it: refused until they are written again. */
  readonly refused: { readonly digest: Digest; readonly key: string } | null
}

const fresh: FetcherState = { failures: 0, reported: 0, lastDigest: null, served: {}, refused: null }

/** The state; a fresh one where there is none, or `fault` says why it cannot be read. */
export async function loadState(path: string): Promise<{ readonly state: FetcherState; readonly fault: unknown }> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch {
    return { state: fresh, fault: undefined }
  }
  try {
    return { state: parseState(text), fault: undefined }
  } catch (fault) {
    return { state: fresh, fault }
  }
}

export function saveState(path: string, state: FetcherState): Promise<void> {
  return writeFileAtomic(path, `${JSON.stringify(state)}\n`)
}

/** The target that is served, where its annotations are known. */
export function servedTarget(state: FetcherState): Target | undefined {
  return parseTarget(state.served)
}

function parseState(text: string): FetcherState {
  const fields = parseFields(text, 'state.json')
  const lastDigest = fields.textOrNull('lastDigest')
  const served: Record<string, string> = {}
  for (const [name, value] of Object.entries(fields.objectOrNull('served') ?? {}))
    if (typeof value === 'string') served[name] = value
  const refused = fields.objectOrNull('refused')
  return {
    failures: fields.count('failures'),
    reported: fields.count('reported'),
    lastDigest: lastDigest === null ? null : parseDigest(lastDigest, 'state.json: lastDigest'),
    served,
    refused:
      isObject(refused) && typeof refused.digest === 'string' && typeof refused.key === 'string'
        ? { digest: parseDigest(refused.digest, 'state.json: refused'), key: refused.key }
        : null,
  }
}
