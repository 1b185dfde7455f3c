// Who takes part with a process of its own for each run: ours, and what people use today.
import { spawnSync } from 'node:child_process'
import { realpathSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hexOf } from '@aether/contract/digest'
import type { Say } from '@aether/e2e/kit/scenario'
import { agentFile, root } from '../processes.ts'
import type { Artifact } from './artifacts.ts'
import { type Ran, type RunFresh } from './run-fresh.ts'
import { agentSettings, type Place, writeAnnotations } from './settings.ts'

export interface Contestant {
  readonly name: string
  /** Brings the artifact to below `folder`, which is empty; `tree` is where it is then. */
  run(artifact: Artifact, folder: string): Promise<Ran & { readonly tree: string }>
}

const peers = join(import.meta.dirname, 'peers')

/** init-fetch, as a new pod starts it. */
export function createInitFetch(place: Place, runFresh: RunFresh): Contestant {
  return {
    name: 'fresh',
    async run(artifact, folder) {
      await writeAnnotations(folder, place.url, artifact)
      const data = join(folder, 'data')
      await mkdir(data)
      await writeFile(join(folder, 'termination-log'), '')
      const env = { ...agentSettings(place, folder), AETHER_TERMINATION_LOG: join(folder, 'termination-log') }
      const ran = await runFresh([process.execPath, join(root, agentFile('init-fetch'))], env)
      return { ...ran, tree: realpathSync(join(data, 'workspace/current')) }
    },
  }
}

/** Those whose programs are here; says which are not. */
export function listPeers({ url }: Place, runFresh: RunFresh, say: Say): readonly Contestant[] {
  const all = [
    { name: 'busybox', needs: ['busybox'], command: ['busybox', 'sh', join(peers, 'busybox.sh')] },
    { name: 'curl-tar', needs: ['bash', 'curl', 'tar', 'gzip'], command: ['bash', join(peers, 'curl-tar.sh')] },
    { name: 'npm-tar', needs: [], command: npmTar },
  ]
  return all.flatMap(({ name, needs, command }) => {
    const missing = needs.filter((program) => spawnSync(program, ['--help'], { stdio: 'ignore' }).error !== undefined)
    if (missing.length > 0) say(`${name} is left out: install ${missing.join(' and ')} (apt-get install)`)
    if (missing.length > 0) return []
    const run = async (artifact: Artifact, folder: string) => {
      const tree = join(folder, 'tree')
      await mkdir(tree)
      return { ...(await runFresh([...command, `${url}/${artifact.name}`, hexOf(artifact.digest), tree])), tree }
    }
    return [{ name, run }]
  })
}

export const npmTar: readonly string[] = [process.execPath, join(peers, 'npm-tar.ts')]
