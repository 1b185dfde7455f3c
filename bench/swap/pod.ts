// Ours, as in a pod: the real fetcher in mode file and the real supervisor over one workspace, and the kubelet's probe.
// The fetcher is asked for a release it has already (after the first time), so that a change is a flip and no download.
import { chown, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseActivation } from '@aether/contract/activation'
import { layoutOf, workspaceNames } from '@aether/contract/layout'
import { parseMarker } from '@aether/contract/markers'
import { agentFile, start } from '../processes.ts'
import { agentSettings, type Place as Server, writeAnnotations } from '../release/settings.ts'
import { freePort } from '../release/warm-fetcher.ts'
import { versionOf, versions } from './apps.ts'
import { descendants } from './children.ts'
import type { Contestant } from './contestants.ts'
import type { Place } from './peers.ts'
import type { Release } from './releases.ts'
import { patienceMs } from './session.ts'

/** periodSeconds of the readiness probe in k8s/base. */
const probeMs = 1000
/** In a pod the release is mounted read-only; here it is another user's. */
const nobody = 65_534

/** Resolves when the first release serves. `settings` are the supervisor's beside those of its place. */
export async function startPod(
  name: string,
  place: Place,
  releases: readonly Release[],
  server: Server,
  settings: Readonly<Record<string, string>>,
): Promise<Contestant> {
  const { folder, env, targets } = place
  const layout = layoutOf(join(folder, 'data'))
  const run = join(folder, 'run')
  await mkdir(layout.workspace, { recursive: true })
  await mkdir(run)
  const user = place.app.isCached ? nobody : undefined
  if (user !== undefined) await chown(run, user, user)
  const [fetcherPort, supervisorPort] = [await freePort(), await freePort()]
  const health = { AETHER_RUN_DIR: run, AETHER_HEALTH_HOST: '127.0.0.1' }
  await annotate(versions[0])
  const fetcher = start(agentFile('fetcher'), [], {
    ...agentSettings(server, folder),
    ...health,
    AETHER_FETCH_MODE: 'file',
    AETHER_MIN_REFRESH_INTERVAL_MS: '0',
    AETHER_SUPERVISED: 'true',
    AETHER_HEALTH_PORT: String(fetcherPort),
  })
  // The app is in a group of its own, and would outlive a bench that is interrupted.
  const kill = () => {
    for (const pid of apps()) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // ESRCH: it ended just now.
      }
    }
  }
  const startSupervisor = () => {
    const supervisorEnv = {
      ...settings,
      ...env,
      ...health,
      AETHER_WORKSPACE_DIR: layout.workspace,
      AETHER_HEALTH_PORT: String(supervisorPort),
    }
    const started = start(agentFile('supervisor'), [], supervisorEnv, user)
    // Ahead of the supervisor's own end, after which nobody knows whose the app was.
    process.off('exit', kill)
    process.prependOnceListener('exit', kill)
    return started
  }
  let supervisor = startSupervisor()
  const supervisorPid = () => supervisor.child.pid ?? 0
  const apps = () => descendants(supervisorPid())
  const probe = setInterval(() => void isReady(), probeMs)
  const stop = async () => {
    clearInterval(probe)
    await supervisor.stop()
    process.off('exit', kill)
    await fetcher.stop()
  }
  try {
    await served(0)
    const serves = await supervisor.line(/"release \w+ serves"/)
    if (place.app.isCached && !serves.includes('"compileCache":"used"'))
      throw new Error(`${name} does not use its compile cache: ${serves}`)
  } catch (error) {
    await stop()
    throw error
  }

  /** Asks as the kubelet does. */
  function isReady(): Promise<boolean> {
    return fetch(`http://127.0.0.1:${supervisorPort}/readyz`).then(
      async (answer) => {
        await answer.text()
        return answer.ok
      },
      () => false,
    )
  }

  async function annotate(version: string): Promise<void> {
    const release = releases.find((one) => one.version === version)
    if (release === undefined) throw new Error(`no release has version ${version}`)
    await writeAnnotations(folder, server.url, release)
  }

  /** Resolves with the verdict on what was asked for when the fetcher had said `from` lines. */
  async function served(from: number): Promise<void> {
    const line = await fetcher.line(/^REFRESH_(?:OK|FAIL) /, from)
    if (parseMarker(line)?.kind !== 'ok')
      throw new Error(`${name}: ${line}\nthe supervisor:\n${supervisor.lines.slice(-20).join('\n')}`)
  }
  return {
    name,
    isOurs: true,
    targets,
    version: () => versionOf(join(layout.workspace, workspaceNames.current)),
    async change(version) {
      const from = fetcher.lines.length
      await annotate(version)
      await served(from)
      // Written a rename before `current` moves.
      const record = await readFile(join(layout.workspace, workspaceNames.activation), 'utf8')
      return Date.parse(parseActivation(record).at)
    },
    restarts: true,
    async renew() {
      await supervisor.stop()
      supervisor = startSupervisor()
      const until = performance.now() + patienceMs
      while (!(await isReady())) {
        if (performance.now() > until) throw new Error(`${name} did not come back:\n${supervisor.lines.join('\n')}`)
        await sleep(10)
      }
    },
    processes: () => [{ role: 'supervisor', pid: supervisorPid() }, ...apps().map((pid) => ({ role: 'app', pid }))],
    stop,
  }
}
