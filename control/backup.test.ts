// A backup as docs/operations.md has it, restored into a fresh control beside a cluster and an agent that outlived the old
// one: what the API says, what it makes of a target that is newer than the dump, and that releases go on.
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { packFolder } from '@aether/artifact/pack'
import { annotations } from '@aether/contract/annotations'
import { uploadHeaders } from '@aether/contract/control-api'
import { type Digest, hexOf } from '@aether/contract/digest'
import { isObject } from '@aether/contract/json'
import { parsePodinfo } from '@aether/contract/podinfo'
import { eventually, freePort, startProcess, testFolder } from '@aether/runtime/test-process'
import { type Test, test } from 'tap'
import { ask as askDatabase, noPostgres } from './store/test-engines.ts'
import { findPostgres, startPostgres } from './store/test-postgres.ts'
import { authorization, startControl } from './test-process.ts'

const run = promisify(execFile)
const fetcher = join(import.meta.dirname, '../agents/fetcher/main.ts')

type Artifact = { readonly digest: Digest; readonly bytes: Buffer }

/** `lose` ends it and takes its folder away. */
async function createControl(t: Test, port: number, folder: string, targets: string, databaseUrl: string) {
  const env = { AETHER_TARGETS_DIR: targets, DATABASE_URL: databaseUrl }
  const { url, ask, ready, process } = await startControl(t, folder, env, port)
  await ready()
  return {
    ask,
    async upload({ digest, bytes }: Artifact) {
      const headers = {
        authorization,
        'content-type': 'application/gzip',
        [uploadHeaders.app]: 'hello',
        [uploadHeaders.digest]: digest,
      }
      return (await fetch(`${url}/artifacts`, { method: 'POST', headers, body: new Uint8Array(bytes) })).status
    },
    download: async (digest: Digest) => (await ask('GET', `/artifacts/${digest}`)).bytes,
    /** All that it answers of what it keeps, but for when a pod said last how it is: it says so again and again. */
    async all(id: string) {
      const paths = ['/apps', '/artifacts', '/deployments', `/deployments/${id}`]
      const answers = await Promise.all(paths.map(async (path) => (await ask('GET', path)).json))
      return answers.map((json) => {
        const pods: readonly unknown[] = Array.isArray(json.pods) ? json.pods : []
        return { ...json, pods: pods.map((pod) => (isObject(pod) ? { ...pod, at: null } : pod)) }
      })
    },
    async lose() {
      process().kill('SIGTERM')
      await process().exited
      rmSync(folder, { recursive: true })
    },
  }
}

async function pack(folder: string, version: string): Promise<Artifact> {
  const app = join(folder, version)
  mkdirSync(app)
  writeFileSync(join(app, 'package.json'), JSON.stringify({ name: 'hello', version }))
  const { file, digest } = await packFolder(app, `${app}.tar.gz`)
  return { digest, bytes: readFileSync(file) }
}

await test('a restored backup answers as before, and the cluster has the last word', noPostgres, async (t) => {
  const folder = testFolder(t)
  const postgres = await startPostgres()
  t.teardown(postgres.remove)
  const server = { connectionString: postgres.url }
  const create = async (name: string) => {
    await askDatabase(server, `CREATE DATABASE ${name}`)
    return postgres.url.replace(/postgres$/, name)
  }
  const program = (name: string) => join(findPostgres() ?? '', name)
  const port = await freePort()
  const targets = join(folder, 'targets')
  const [v1, v2, v3, v4] = await Promise.all(
    ['1.0.0', '2.0.0', '3.0.0', '4.0.0'].map((version) => pack(folder, version)),
  )
  if (v1 === undefined || v2 === undefined || v3 === undefined || v4 === undefined) throw new Error('four were packed')

  const old = await createControl(t, port, join(folder, 'old'), targets, await create('old'))
  t.equal((await old.ask('POST', '/apps', { name: 'hello' })).status, 201)
  for (const one of [v1, v2]) t.equal(await old.upload(one), 201)
  const made = await old.ask('POST', '/deployments', { app: 'hello', digest: v1.digest })
  const path = `/deployments/${String(made.json.id)}`
  const own = join(targets, 'default/hello')
  await eventually('a target', () => readFileSync(join(own, 'annotations'), 'utf8').includes(v1.digest))
  const agent = startProcess(t, fetcher, {
    AETHER_APP: 'hello',
    AETHER_DATA_DIR: join(folder, 'data'),
    AETHER_RUN_DIR: join(folder, 'run'),
    AETHER_ANNOTATIONS_FILE: join(own, 'annotations'),
    AETHER_CONTROL_URL: `http://127.0.0.1:${port}`,
    AETHER_CONTROL_TOKEN_FILE: join(own, 'token'),
    AETHER_CONTROL_AGAIN_SEC: '1',
    AETHER_FETCH_MODE: 'file',
    AETHER_REQUIRE_SIGNATURE: 'false',
    AETHER_ARTIFACT_ADDRESSES: 'any',
    AETHER_MIN_REFRESH_INTERVAL_MS: '0',
    AETHER_HEALTH_PORT: '0',
    AETHER_HEALTH_HOST: '127.0.0.1',
  })
  const took = ({ digest }: Artifact) => agent.line(`REFRESH_OK app=hello digest=${hexOf(digest)}`)
  const target = () => parsePodinfo(readFileSync(join(own, 'annotations'), 'utf8'))[annotations.digest]
  const isHealthy = (control: typeof old) => async () =>
    (await control.ask('GET', path)).json.current_status === 'healthy'
  await took(v1)
  t.equal((await old.ask('PATCH', path, { digest: v2.digest })).status, 200)
  await took(v2)
  await eventually('control to be told', isHealthy(old))

  t.comment('the backup: the database, then the artifacts')
  const before = await old.all(String(made.json.id))
  const dump = join(folder, 'control.dump')
  await run(program('pg_dump'), ['--format=custom', '--file', dump, postgres.url.replace(/postgres$/, 'old')])
  cpSync(join(folder, 'old/artifacts'), join(folder, 'backup'), { recursive: true })
  await old.lose()

  const restore = async (name: string) => {
    cpSync(join(folder, 'backup'), join(folder, name, 'artifacts'), { recursive: true })
    const url = await create(name)
    await run(program('pg_restore'), ['--clean', '--if-exists', '--no-owner', '--dbname', url, dump])
    return createControl(t, port, join(folder, name), targets, url)
  }
  t.comment('everything was lost, and the cluster is where it was')
  const second = await restore('second')
  t.strictSame(await second.all(String(made.json.id)), before, 'the API answers the same')
  for (const { digest, bytes } of [v1, v2])
    t.ok((await second.download(digest)).equals(bytes), 'and has the same bytes')
  t.equal(await second.upload(v3), 201)
  t.equal((await second.ask('PATCH', path, { digest: v3.digest })).status, 200)
  await took(v3)
  await eventually('control to be told', isHealthy(second))
  await second.lose()

  t.comment('the cluster has a digest that came after the dump')
  const third = await restore('third')
  await eventually(
    'the deployment to fail',
    async () => (await third.ask('GET', path)).json.current_status === 'failed',
  )
  t.match((await third.ask('GET', path)).json, { failure_reason: 'unknown_artifact' })
  t.equal(target(), v3.digest, 'which is not touched')
  t.equal(await third.upload(v3), 201)
  t.equal((await third.ask('PATCH', path, { digest: v3.digest })).status, 200)
  await eventually('the deployment to be healthy', isHealthy(third))
  t.equal((await third.ask('PATCH', path, { digest: v1.digest })).status, 200, 'and a release after it')
  await eventually('the old release again', async () => target() === v1.digest && (await isHealthy(third)()))
  await third.lose()

  t.comment('the cluster has another digest of the dump')
  const fourth = await restore('fourth')
  await eventually('the change to be recorded', async () => (await fourth.ask('GET', path)).json.digest === v1.digest)
  const { json } = await fourth.ask('GET', path)
  const events: readonly unknown[] = Array.isArray(json.events) ? json.events : []
  const change = events.find((event) => isObject(event) && event.actor === 'kubectl')
  t.match(change, { action: 'rollout', from_digest: v2.digest, to_digest: v1.digest })
  t.equal(target(), v1.digest)
  t.equal(await fourth.upload(v4), 201)
  t.equal((await fourth.ask('PATCH', path, { digest: v4.digest })).status, 200)
  await took(v4)
  await eventually('control to be told', isHealthy(fourth))
})
