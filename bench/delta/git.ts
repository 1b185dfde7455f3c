// What a loop around git does for the same edit: fetch into a mirror, a worktree of the new commit, and a link renamed over.
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Ran, RunFresh } from '../release/run-fresh.ts'

export interface GitPeer {
  /** The app as it is, committed. */
  commit(): void
  /** Brings the last commit to a folder of its own. */
  run(): Promise<Ran & { readonly tree: string }>
}

/** `undefined` where there is no git. */
export function createGit(app: string, folder: string, runFresh: RunFresh): GitPeer | undefined {
  if (spawnSync('git', ['--version'], { stdio: 'ignore' }).error !== undefined) return undefined
  const [origin, mirror] = [join(folder, 'origin.git'), join(folder, 'mirror.git')]
  const who = ['-c', 'user.name=bench', '-c', 'user.email=bench@localhost', '-c', 'gc.auto=0']
  const git = (...args: string[]) => {
    const { status, stderr } = spawnSync('git', [...who, ...args], {
      encoding: 'utf8',
      env: { PATH: process.env.PATH },
    })
    if (status !== 0) throw new Error(`git ${args.join(' ')}: ${stderr}`)
  }
  mkdirSync(folder)
  git('init', '-q', '--bare', '-b', 'main', origin)
  git('init', '-q', '--bare', '-b', 'main', mirror)
  let count = 0
  return {
    commit() {
      git(`--git-dir=${origin}`, `--work-tree=${app}`, 'add', '-A')
      git(`--git-dir=${origin}`, `--work-tree=${app}`, 'commit', '-q', '--allow-empty', '-m', 'edit')
    },
    async run() {
      const tree = join(folder, `worktree-${++count}`)
      const script = `git --git-dir=${mirror} fetch -q file://${origin} main
        git --git-dir=${mirror} worktree add -q --detach ${tree} FETCH_HEAD
        ln -s ${tree} ${folder}/next && mv -T ${folder}/next ${folder}/current`
      const ran = await runFresh(['sh', '-euc', script])
      rmSync(join(tree, '.git'))
      return { ...ran, tree }
    },
  }
}
