// What rsync does for the same edit: into the older of two trees, and a link renamed over. From a folder on the same disk.
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Say } from '@aether/e2e/kit/scenario'
import type { Ran, RunFresh } from '../release/run-fresh.ts'

export interface RsyncPeer {
  run(): Promise<Ran & { readonly tree: string }>
}

/** `undefined` where there is no rsync. */
export function createRsync(app: string, folder: string, runFresh: RunFresh, say: Say): RsyncPeer | undefined {
  if (spawnSync('rsync', ['--version'], { stdio: 'ignore' }).error !== undefined) {
    say('rsync is left out: install it (apt-get install rsync)')
    return undefined
  }
  mkdirSync(folder)
  let count = 0
  return {
    async run() {
      const tree = join(folder, `tree-${count++ % 2}`)
      const script = `rsync -a --delete ${app}/ ${tree}/
        ln -s ${tree} ${folder}/next && mv -T ${folder}/next ${folder}/current`
      return { ...(await runFresh(['sh', '-euc', script])), tree }
    },
  }
}
