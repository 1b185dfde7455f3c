// `aether dev --local`: no cluster and no control. The agents run on this machine as they do in a pod, the fetcher in mode `file`;
// what a pod has as volumes is in the work folder, and goes with it.
import { watch } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { annotations } from '@aether/contract/annotations'
import { layoutOf, supervisorStateName } from '@aether/contract/layout'
import { formatPodinfo } from '@aether/contract/podinfo'
import { errnoOf, Failure } from '../basics/failure.ts'
import type { Output } from '../basics/output.ts'
import type { Env } from '../basics/settings.ts'
import { createLineFormat } from '../cluster/log-line.ts'
import { noRecords, notServing, outcomeOf, type PodRecords, parseRecords, servingOf } from '../cluster/pod-outcome.ts'
import { withoutNpm } from '../release/install.ts'
import type { DevSigner } from './dev-key.ts'
import type { DevPlace } from './dev-place.ts'
import { createDevStore } from './dev-store.ts'
import { type AgentName, type LocalAgent, startAgent } from './local-agents.ts'
import { killOrphans } from './local-orphans.ts'

export interface LocalPlaceOptions {
  readonly app: string
  readonly work: string
  readonly signer: DevSigner
  readonly port: number
  readonly readyPath: string | undefined
  /** For the app, on top of our environment. */
  readonly appEnv: Env
  readonly timeoutMs: number
  readonly env: Env
}

const lookMs = 250

export async function openLocalPlace(options: LocalPlaceOptions): Promise<DevPlace> {
  const { app, work, signer, port, timeoutMs } = options
  await refuseTakenPort(port)
  const [data, run, podinfo] = [join(work, 'data'), join(work, 'run'), join(work, 'podinfo')]
  const layout = layoutOf(data)
  for (const path of [layout.workspace, run, podinfo]) await mkdir(path, { recursive: true })
  const store = createDevStore(app)
  const { server, origin } = await listen(createServer((request, response) => store.answer(request, response)))
  await writeFile(join(work, 'dev-signing.pub.pem'), signer.publicPem)
  const env = environments(options, { data, run, podinfo, origin, workspace: layout.workspace })
  const agents = new Map<AgentName, LocalAgent>()
  const watchers = new Set<() => void>()
  let onLine = (_line: string) => {}
  let [isClosed, hasServed] = [false, false]

  /** The supervisor first: it is there when the fetcher asks for a verdict. */
  function startMissing(): void {
    if (agents.get('supervisor')?.isAlive() === false) killOrphans(layout.workspace)
    for (const name of ['supervisor', 'fetcher'] as const)
      if (agents.get(name)?.isAlive() !== true && !isClosed)
        agents.set(
          name,
          startAgent(name, env[name], (line) => name === 'supervisor' && onLine(line)),
        )
  }
  const changed = () => {
    for (const look of watchers) look()
  }
  const watching = [data, run].map((path) => watch(path, { persistent: false }, changed).on('error', () => {}))
  const read = async (): Promise<PodRecords> => {
    const [state, supervisor] = await Promise.all(
      [layout.state, join(run, supervisorStateName)].map((file) => readFile(file, 'utf8').catch(() => undefined)),
    )
    return parseRecords(state, supervisor)
  }
  startMissing()

  return {
    name: `on this machine, at http://127.0.0.1:${port}`,
    async pack(tree) {
      const { digest, path } = await store.add(tree)
      let before = noRecords
      return {
        digest,
        upload: () => Promise.resolve(),
        async deploy() {
          startMissing()
          before = await read()
          const file = join(podinfo, 'annotations')
          const target = {
            [annotations.digest]: digest,
            [annotations.artifactUrl]: `${origin}${path}`,
            [annotations.signature]: signer.sign(digest),
          }
          await writeFile(`${file}.new`, formatPodinfo(target))
          await rename(`${file}.new`, file)
        },
        async waitUntilServing(signal) {
          const until = performance.now() + timeoutMs
          const failed = Promise.race([...agents.values()].map(({ ended }) => ended))
          failed.catch(() => {})
          for (;;) {
            const woken = Promise.withResolvers<undefined>()
            const look = () => woken.resolve(undefined)
            watchers.add(look)
            try {
              const records = await read()
              const outcome = outcomeOf(records, { digest, before })
              if (outcome instanceof Failure) throw outcome
              if (outcome === 'serving') {
                hasServed = true
                return
              }
              if (performance.now() > until) throw notServing(app, digest, timeoutMs, records)
              // What the folders tell is told by inotify, whose queue may overflow.
              await Promise.race([woken.promise, failed, sleep(lookMs, undefined, { signal })])
              signal.throwIfAborted()
            } finally {
              watchers.delete(look)
            }
          }
        },
      }
    },
    async serving() {
      const one = servingOf(await read())
      return one === undefined ? [] : [one]
    },
    async showLogs(output, signal) {
      const format = createLineFormat(output.colours, false)
      onLine = (line) => showLine(output, format(app, line))
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
    },
    farewell: () => (hasServed ? `${app} and its agents have ended, and nothing of them is left` : undefined),
    async close() {
      isClosed = true
      for (const one of watching) one.close()
      // The supervisor first: the app is what somebody may still be using.
      for (const name of ['supervisor', 'fetcher'] as const) await agents.get(name)?.stop()
      killOrphans(layout.workspace)
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

interface Places {
  readonly data: string
  readonly run: string
  readonly podinfo: string
  readonly workspace: string
  readonly origin: string
}

/** The fetcher needs nothing of ours, not even our proxies: it asks us alone. The app gets what we have. */
function environments(
  { app, work, port, readyPath, appEnv, env }: LocalPlaceOptions,
  { data, run, podinfo, workspace, origin }: Places,
): Readonly<Record<AgentName, Env>> {
  const common = {
    AETHER_APP: app,
    AETHER_RUN_DIR: run,
    AETHER_HEALTH_PORT: '0',
    AETHER_HEALTH_HOST: '127.0.0.1',
  }
  const inherited = Object.entries(withoutNpm(env)).filter(([name]) => !name.startsWith('AETHER_'))
  return {
    fetcher: {
      PATH: env.PATH,
      TMPDIR: env.TMPDIR,
      ...common,
      AETHER_DATA_DIR: data,
      AETHER_FETCH_MODE: 'file',
      AETHER_FETCH_INTERVAL_SEC: '1',
      AETHER_ANNOTATIONS_FILE: join(podinfo, 'annotations'),
      AETHER_ARTIFACT_ORIGINS: origin,
      AETHER_PUBKEY: join(work, 'dev-signing.pub.pem'),
      AETHER_DEVELOPMENT_SIGNATURES: 'true',
      AETHER_SUPERVISED: 'true',
      AETHER_MIN_REFRESH_INTERVAL_MS: '0',
      AETHER_DRIFT_INTERVAL_SEC: '0',
    },
    supervisor: {
      ...Object.fromEntries(inherited),
      ...appEnv,
      ...common,
      AETHER_WORKSPACE_DIR: workspace,
      // Nobody balances load by its readiness.
      AETHER_DRAIN_MAX_MS: '0',
      ...(readyPath === undefined ? {} : { AETHER_READY_PATH: readyPath }),
      PORT: String(port),
    },
  }
}

function showLine(output: Output, text: string | undefined): void {
  if (text !== undefined) output.line(text)
}

/** Before anything is started, and with the way out: the supervisor would say it of each release. */
async function refuseTakenPort(port: number): Promise<void> {
  const probe = createTcpServer()
  const fault = await new Promise<unknown>((resolve) => {
    probe.once('error', resolve).listen(port, () => probe.close(() => resolve(undefined)))
  })
  if (fault === undefined) return
  const why = errnoOf(fault) === 'EADDRINUSE' ? 'is taken by another process' : `cannot be opened (${errnoOf(fault)})`
  throw new Failure('failed', `port ${port} of this machine ${why}`, {
    cause: fault,
    next: 'end what listens there, or name another port: --port 8081',
  })
}

async function listen(server: Server): Promise<{ readonly server: Server; readonly origin: string }> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new TypeError('a TCP server has an address')
  return { server, origin: `http://127.0.0.1:${address.port}` }
}
