// What a save costs by way of an image: buildah, the archive into the nodes, `kubectl set image`, and the rollout of a Deployment.
import { execFile } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { restrictedContainer, restrictedPod } from '@aether/e2e/kit/restricted'
import type { Scenario } from '@aether/e2e/kit/scenario'
import { root } from '../processes.ts'
import type { DevApp } from './apps.ts'
import { type Contestant, untilAnswers } from './contestants.ts'

const name = 'image-rollout'
const run = promisify(execFile)

/** `load` is the command that brings an archive into the nodes: its path follows. One replica, which is asked through its Service. */
export async function enterImageRollout(scenario: Scenario, app: DevApp, load: string): Promise<Contestant> {
  const { cluster, namespace, folder } = scenario
  const work = join(folder, name)
  await mkdir(work)
  const own = await app.copy(join(work, 'app'))
  const image = await createBuilder(work, own.folder, `aether.local/${namespace}`, load)
  await cluster.kubectl(['apply', '-n', namespace, '-f', '-'], JSON.stringify(objectsOf(await image())))
  await cluster.kubectl(['rollout', 'status', '-n', namespace, `deployment/${name}`, '--timeout=120s'])
  const { spec } = await cluster.core.readNamespacedService({ name, namespace })
  const address = { host: spec?.clusterIP ?? '', port: 80, path: '/' }
  await untilAnswers(address)
  return {
    name,
    address,
    pid: undefined,
    async save(text) {
      await own.save(text)
      await cluster.kubectl(['set', 'image', '-n', namespace, `deployment/${name}`, `app=${await image()}`])
    },
    close: () => rm(work, { recursive: true, force: true }),
  }
}

/** Answers what builds the folder anew and brings it to the nodes; that answers the image's name. */
async function createBuilder(work: string, app: string, repository: string, load: string) {
  const storage = ['--root', join(work, 'storage'), '--runroot', join(work, 'run'), '--storage-driver', 'overlay']
  const buildah = async (...args: readonly string[]) => (await run('buildah', [...storage, ...args])).stdout.trim()
  // The image that ours runs in: it has Node, and is in the nodes already.
  const base = await buildah('pull', '-q', `oci-archive:${join(root, 'dist/images/aether-nodejs.tar')}`)
  const recipe = join(work, 'Containerfile')
  await writeFile(recipe, `FROM ${base}\nCOPY . /app\n`)
  const archive = join(work, 'image.tar')
  let built = 0
  return async () => {
    built += 1
    const image = `${repository}:${built}`
    await buildah('bud', '-q', '--isolation', 'chroot', '--layers=false', '-t', image, '-f', recipe, app)
    await buildah('push', '-q', image, `docker-archive:${archive}:${image}`)
    await run('sh', ['-c', `${load} "$1"`, 'sh', archive])
    await rm(archive)
    return image
  }
}

function objectsOf(image: string): object {
  const labels = { app: name }
  const container = {
    name: 'app',
    image,
    imagePullPolicy: 'Never',
    command: ['/usr/local/bin/node', 'server.js'],
    workingDir: '/app',
    env: [{ name: 'PORT', value: '8080' }],
    readinessProbe: { httpGet: { path: '/healthz', port: 8080 }, periodSeconds: 1 },
    securityContext: restrictedContainer,
  }
  const template = { metadata: { labels }, spec: { securityContext: restrictedPod, containers: [container] } }
  return {
    apiVersion: 'v1',
    kind: 'List',
    items: [
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name },
        spec: { replicas: 1, selector: { matchLabels: labels }, template },
      },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name },
        spec: { selector: labels, ports: [{ port: 80, targetPort: 8080 }] },
      },
    ],
  }
}
