// Follows `current` and activation.json. The fetcher renames the record before the link, so what counts is the moment
// when both name the same release.
import { readFile, readlink, realpath } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type Activation, parseActivation } from '@aether/contract/activation'
import type { Digest } from '@aether/contract/digest'
import { digestOfReleaseName, releaseName, workspaceNames } from '@aether/contract/layout'
import type { Part } from '@aether/runtime/parts'
import { watchFolder } from '@aether/runtime/watch-folder'

// Short, because in a pod a swap once began about a second late while this was 1000. That the event was missed and this
// look found the release is inferred from the marker's swap_ms; it was not reproduced.
const intervalMs = 250

/** Calls `onActivation` for each new activation, the latest only. */
export function createFollower(workspace: string, onActivation: (activation: Activation) => void): Part {
  let close = () => {}
  let last = 0

  async function look(): Promise<void> {
    const found = await readWanted(workspace)
    if (found === undefined || found.id === last) return
    last = found.id
    onActivation(found)
  }
  return {
    name: 'follower',
    start() {
      close = watchFolder(workspace, intervalMs, look).close
    },
    stop: () => close(),
  }
}

/** What is to run; `undefined` where nothing is, or while the fetcher is between its two renames. */
async function readWanted(workspace: string): Promise<Activation | undefined> {
  try {
    const link = await readlink(join(workspace, workspaceNames.current))
    const activation = parseActivation(await readFile(join(workspace, workspaceNames.activation), 'utf8'))
    return digestOfReleaseName(basename(link)) === activation.digest ? activation : undefined
  } catch {
    return undefined
  }
}

/** The real path of a release, so that an app that loads files late never mixes two. Rejects where it is not on disk. */
export function releasePath(workspace: string, digest: Digest): Promise<string> {
  return realpath(join(workspace, workspaceNames.releases, releaseName(digest)))
}
