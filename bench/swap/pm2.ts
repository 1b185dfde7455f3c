// `pm2 reload` in cluster mode, by its command as people type it. pm2 (AGPL, 25 MB) is no dependency of the project: it
// is installed into the work folder for the run.
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Say } from '@aether/e2e/kit/scenario'
import { versionOf } from './apps.ts'
import { descendants } from './children.ts'
import type { Contestant } from './contestants.ts'
import { type Place, replaceFiles } from './peers.ts'

const run = promisify(execFile)
const version = '7.0.4'

/** Path of its command; undefined, with a line that says why, where it cannot be installed. */
export async function installPm2(folder: string, say: Say): Promise<string | undefined> {
  const home = join(folder, 'pm2')
  await mkdir(home)
  const args = ['install', '--prefix', home, '--ignore-scripts', '--no-audit', '--no-fund', `pm2@${version}`]
  try {
    await run('npm', args, { timeout: 120_000 })
    return join(home, 'node_modules/pm2/bin/pm2')
  } catch (error) {
    say(`pm2 is left out: npm cannot install it (${String(error).split('\n')[0]})`)
    return undefined
  }
}

export async function startPm2(command: string, { app, folder, env, targets }: Place): Promise<Contestant> {
  const home = `${folder}.pm2`
  const pm2 = async (...args: readonly string[]) => {
    await run(process.execPath, [command, ...args], {
      cwd: folder,
      timeout: 60_000,
      env: { PATH: process.env.PATH, HOME: home, PM2_HOME: home, PM2_DISABLE_VERSION_CHECK: 'true', ...env },
    })
  }
  // Its daemon is nobody's child.
  const daemon = () => Number(readFileSync(join(home, 'pm2.pid'), 'utf8'))
  const kill = () => {
    try {
      const pid = daemon()
      for (const one of [...descendants(pid), pid]) process.kill(one, 'SIGKILL')
    } catch {
      // It was never there, or has ended.
    }
  }
  process.prependOnceListener('exit', kill)
  await mkdir(home)
  await pm2('start', 'server.js', '--name', app.name, '--instances', '1')
  return {
    name: 'pm2',
    isOurs: false,
    targets,
    version: () => versionOf(folder),
    async change(to) {
      const at = await replaceFiles(folder, to)
      await pm2('reload', app.name)
      return at
    },
    restarts: true,
    // By itself it always starts at once.
    renew: async () => {},
    processes: () => [{ role: 'daemon', pid: daemon() }, ...descendants(daemon()).map((pid) => ({ role: 'app', pid }))],
    async stop() {
      await pm2('kill')
      process.off('exit', kill)
    },
  }
}
