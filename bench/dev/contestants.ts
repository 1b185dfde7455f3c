// Who brings a save to a running app: ours, what live-update tools do, and the floor.
import { execFile, spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createPodsDeveloper, type DevRun, deployForDeveloper, startDev } from '@aether/e2e/kit/developer'
import { readyPods } from '@aether/e2e/kit/pods'
import { restrictedContainer, restrictedPod } from '@aether/e2e/kit/restricted'
import type { Scenario } from '@aether/e2e/kit/scenario'
import type { Address } from '@aether/e2e/kit/tools/protocol'
import { until } from '@aether/e2e/kit/until'
import type { DevApp } from './apps.ts'

export interface Contestant {
  readonly name: 'aether' | 'tar-exec' | 'image-rollout' | 'node-watch host'
  readonly address: Address
  /** The process that watches the folder. */
  readonly pid: number | undefined
  save(text: string): Promise<void>
  /** What it says of each save. */
  readonly dev?: DevRun
  close(): Promise<void>
}

const startedMs = 120_000

/** `aether dev --pods` by a developer with rights on pods. */
export async function enterAether(scenario: Scenario, app: DevApp): Promise<Contestant> {
  await deployForDeveloper(scenario)
  const developer = await createPodsDeveloper(scenario, app.folder)
  const own = await app.copy(join(scenario.folder, 'own'))
  const dev = startDev({ ...developer, app: own.folder }, [
    '--context=developer',
    '--app=hello',
    '--no-install',
    '--no-logs',
  ])
  const first = await dev.next()
  if (first.outcome !== 'serving') throw new Error(`aether dev: ${dev.output()}`)
  const [pod] = await readyPods(scenario, 1)
  return {
    name: 'aether',
    address: { host: pod?.ip ?? '', port: 8080, path: '/' },
    pid: dev.pid,
    save: own.save,
    dev,
    async close() {
      dev.kill('SIGINT')
      await dev.ended
    },
  }
}

/** What Tilt's and Skaffold's live updates do: the changed file as a tar through `kubectl exec`, and a watcher in the pod. */
export async function enterTarExec(scenario: Scenario, app: DevApp, busyboxImage: string): Promise<Contestant> {
  const { cluster, namespace, config } = scenario
  const name = 'live-update'
  await cluster.kubectl(
    ['apply', '-n', namespace, '-f', '-'],
    JSON.stringify(podOf(name, config.nodejsImage, busyboxImage)),
  )
  await cluster.kubectl(['wait', '-n', namespace, '--for=condition=Ready', `pod/${name}`, '--timeout=60s'])
  const own = await app.copy(join(scenario.folder, 'live-update'))
  const send = async (what: string) => {
    const script = 'tar -cf - -C "$1" "$2" | kubectl exec -i -n "$3" "$4" -c sync -- tar -xf - -C /app'
    await promisify(execFile)('sh', ['-c', script, 'sh', own.folder, what, namespace, name])
  }
  await send('.')
  const pod = await until('the address of the pod', async () => {
    const { status } = await cluster.core.readNamespacedPod({ name, namespace })
    return status?.podIP
  })
  const address = { host: pod, port: 8080, path: '/' }
  await untilAnswers(address)
  return {
    name: 'tar-exec',
    address,
    pid: undefined,
    async save(text) {
      await own.save(text)
      await send('server.js')
    },
    close: () => Promise.resolve(),
  }
}

/** No cluster: the file and the process on one machine. */
export async function enterHost(folder: string, app: DevApp): Promise<Contestant> {
  const own = await app.copy(folder)
  const port = await freePort()
  const child = spawn(process.execPath, [`--watch-path=${own.folder}`, '--watch-preserve-output', 'server.js'], {
    cwd: own.folder,
    env: { PATH: process.env.PATH, PORT: String(port) },
    stdio: 'ignore',
  })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  const address = { host: '127.0.0.1', port, path: '/' }
  await untilAnswers(address)
  return {
    name: 'node-watch host',
    address,
    pid: child.pid,
    save: own.save,
    async close() {
      child.kill('SIGTERM')
      await ended
    },
  }
}

function podOf(name: string, nodejsImage: string, busyboxImage: string): object {
  // Its shell and its tar want to write somewhere.
  const securityContext = { ...restrictedContainer, readOnlyRootFilesystem: false }
  const volumeMounts = [{ name: 'app', mountPath: '/app' }]
  // Until the files are there, it waits for the first of them.
  const start = `
const { existsSync } = require('node:fs'), { spawn } = require('node:child_process')
const look = () => existsSync('/app/server.js') && existsSync('/app/package.json')
  ? spawn(process.execPath, ['--watch-path=/app', '--watch-preserve-output', 'server.js'], { cwd: '/app', stdio: 'inherit' })
  : setTimeout(look, 500)
setTimeout(look, 500)`
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      terminationGracePeriodSeconds: 1,
      securityContext: restrictedPod,
      containers: [
        { name: 'sync', image: busyboxImage, command: ['sleep', '86400'], volumeMounts, securityContext },
        {
          name: 'app',
          image: nodejsImage,
          command: ['/usr/local/bin/node', '-e', start],
          env: [{ name: 'PORT', value: '8080' }],
          volumeMounts,
          securityContext,
        },
      ],
      volumes: [{ name: 'app', emptyDir: {} }],
    },
  }
}

export async function untilAnswers({ host, port }: Address): Promise<void> {
  await until(
    `an answer of ${host}`,
    async () => ((await fetch(`http://${host}:${port}/`)).ok ? true : undefined),
    startedMs,
  )
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return address !== null && typeof address === 'object' ? address.port : 0
}
