// Follows `current` and activation.json. The fetcher renames the record before the link, so what counts is the moment
// when both name the same release.
import { readFileSync, readlinkSync, realpathSync } from 'node:fs'
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

  function look(): Promise<void> {
    const found = readWanted(workspace)
    if (found !== undefined && found.id !== last) {
      last = found.id
      onActivation(found)
    }
    return Promise.resolve()
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
function readWanted(workspace: string): Activation | undefined {
  try {
    const link = readlinkSync(join(workspace, workspaceNames.current))
    const activation = parseActivation(readFileSync(join(workspace, workspaceNames.activation), 'utf8'))
    return digestOfReleaseName(basename(link)) === activation.digest ? activation : undefined
  } catch {
    return undefined
  }
}

/** The real path of a release, so that an app that loads files late never mixes two. Throws where it is not on disk. */
export function releasePath(workspace: string, digest: Digest): string {
  return realpathSync(join(workspace, workspaceNames.releases, releaseName(digest)))
}
