// Processes that do nothing: the fetcher in each of its modes, a bare Node, and a watch by either of two clients.
import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bundleCommands } from '@aether/images/bundle'
import { agentEnvironment } from '@aether/images/bundles'
import { agentFile, type Running, root, start } from '../processes.ts'
import { agentSettings, type Place } from '../release/settings.ts'

export interface World {
  readonly folder: string
  readonly place: Place
  readonly apiPort: string
  /** Of token and ca.crt. */
  readonly credentials: string
}

export type Mode = 'file' | 'watch' | 'poll'

/** A certificate for 127.0.0.1 and a token, as a pod finds them. */
export async function makeCredentials(folder: string): Promise<void> {
  await mkdir(folder)
  await writeFile(join(folder, 'token'), 'bench')
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1']
  const keys = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  const files = ['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'ca.crt')]
  const made = spawnSync('openssl', ['req', '-x509', ...keys, ...subject, ...files], { encoding: 'utf8' })
  if (made.status !== 0) throw new Error(`openssl made no certificate (apt-get install openssl): ${made.stderr ?? ''}`)
}

/** Resolves once it has looked at its volume and answers; `home` is where its data and annotations are then. */
export async function startFetcher(mode: Mode, world: World): Promise<{ running: Running; home: string }> {
  const home = await mkdtemp(join(world.folder, 'fetcher-'))
  await writeFile(join(home, 'annotations'), '')
  const running = start(agentFile('fetcher'), [], {
    ...agentEnvironment,
    ...agentSettings(world.place, home),
    AETHER_FETCH_MODE: mode,
    AETHER_MIN_REFRESH_INTERVAL_MS: '0',
    AETHER_RUN_DIR: home,
    AETHER_HEALTH_PORT: '0',
    AETHER_POD_NAME: 'pod',
    AETHER_POD_NAMESPACE: 'bench',
    AETHER_API_CREDENTIALS_DIR: world.credentials,
    KUBERNETES_SERVICE_HOST: '127.0.0.1',
    KUBERNETES_SERVICE_PORT: world.apiPort,
  })
  await running.line('REFRESH_STATE')
  return { running, home }
}

/** What is beside the fetcher: nothing at all, and a watch alone by either client. */
const others = { bare: 'bare', 'own watch': 'own-watch', 'client-node': 'client-node-watch' } as const
type Other = keyof typeof others

/** Bundled as the agents are; answers what starts one and resolves once it does what it is there for. */
export async function bundleOthers({ apiPort, credentials }: World): Promise<(other: Other) => Promise<Running>> {
  const out = 'dist/bench-idle'
  const commands = Object.fromEntries(Object.values(others).map((name) => [name, `bench/idle/${name}.ts`]))
  await bundleCommands(root, { commands }, join(root, out))
  return async (other) => {
    const running = start(`${out}/lib/${others[other]}.js`, [`https://127.0.0.1:${apiPort}`, credentials], {})
    await running.line('ready')
    return running
  }
}
