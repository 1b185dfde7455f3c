// Reads and writes state.json (contract/fetcher-state.ts).
import { readFile } from 'node:fs/promises'
import { type FetcherState, freshState, parseFetcherState } from '@aether/contract/fetcher-state'
import { parseTarget, type Target } from '@aether/contract/target'
import { writeFileAtomic } from '@aether/runtime/atomic-file'

/** The state; a fresh one where there is none, or `fault` says why it cannot be read. */
export async function loadState(path: string): Promise<{ readonly state: FetcherState; readonly fault: unknown }> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch {
    return { state: freshState, fault: undefined }
  }
  try {
    return { state: parseFetcherState(text), fault: undefined }
  } catch (fault) {
    return { state: freshState, fault }
  }
}

export function saveState(path: string, state: FetcherState): Promise<void> {
  return writeFileAtomic(path, `${JSON.stringify(state)}\n`)
}

/** The target that is served, where its annotations are known. */
export function servedTarget(state: FetcherState): Target | undefined {
  return parseTarget(state.served)
}
