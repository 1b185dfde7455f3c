// The process as a user runs it, and what becomes of what it acknowledged: killed, stopped, without its database, without
// its folders.
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { annotations } from '@aether/contract/annotations'
import { isObject } from '@aether/contract/json'
import { parsePodinfo } from '@aether/contract/podinfo'
import { eventually, freePort, startProcess, testFolder } from '@aether/runtime/test-process'
import { type Test, test } from 'tap'
import { ask as askDatabase, noPostgres } from './store/test-engines.ts'
import { startPostgres } from './store/test-postgres.ts'
import { type Answer, authorization, main, startControl } from './test-process.ts'

const mebibyte = 1024 * 1024

/** Control in this folder; it can be killed and started again. */
async function createControl(t: Test, folder: string, env: Readonly<Record<string, string>> = {}) {
  const control = await startControl(t, folder, env)
  /** An upload that waits for `send` after its head. */
  function begin(bytes: Buffer) {
    const sending = httpRequest(`${control.url}/artifacts`, {
      method: 'POST',
      headers: {
        authorization,
        'content-type': 'application/gzip',
        'content-length': String(bytes.length),
        'aether-app': 'hello',
        'aether-digest': digestOf(bytes),
      },
    })
    const answered = new Promise<IncomingMessage>((resolve, reject) =>
      sending.on('response', resolve).on('error', reject),
    )
    answered.catch(() => {}) // of one that is killed nobody waits for the answer
    return { sending, answered }
  }
  const staging = join(folder, 'artifacts/staging')
  return {
    ...control,
    begin,
    async upload(bytes: Buffer): Promise<number | undefined> {
      const { sending, answered } = begin(bytes)
      sending.end(bytes)
      const answer = await answered
      await answer.resume().toArray()
      return answer.statusCode
    },
    staged: () => readdirSync(staging).map((name) => statSync(join(staging, name)).size),
    target: () => parsePodinfo(readFileSync(join(folder, 'targets/default/hello/annotations'), 'utf8')),
  }
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

await test('nothing acknowledged is lost and nothing half is shown, killed or stopped, on the embedded database', async (t) => {
  const folder = testFolder(t)
  const { ask, begin, upload, staged, target, ready, kill9, restart, ...control } = await createControl(t, folder)
  await ready()
  t.equal((await ask('POST', '/apps', { name: 'hello' })).status, 201)

  t.comment('while an upload is under way, and a second process wants the folder')
  const bytes = randomBytes(4 * mebibyte)
  const { sending } = begin(bytes)
  sending.write(bytes.subarray(0, 3 * mebibyte))
  const second = startProcess(t, main, {
    AETHER_CONTROL_DATA_DIR: folder,
    AETHER_CONTROL_LISTEN_PORT: String(await freePort()),
  })
  t.not(await second.exited, 0)
  t.match(second.lines.join('\n'), /another process works on .*database: give each its own data folder/)
  await eventually('most of the upload', () => (staged()[0] ?? 0) > 2 * mebibyte)
  await kill9()
  restart()
  await ready()
  t.strictSame(staged(), [])
  t.match(await ask('GET', `/artifacts/${digestOf(bytes)}/meta`), { status: 404, json: { code: 'unknown_artifact' } })
  t.equal(await upload(bytes), 201)
  t.equal(await upload(bytes), 200)

  t.comment('after a deployment was acknowledged, and before it could be carried to the targets')
  const inTheWay = join(folder, 'targets/default')
  writeFileSync(inTheWay, 'no folder')
  const made = await ask('POST', '/deployments', { app: 'hello', digest: digestOf(bytes) })
  t.match(made, { status: 201, json: { current_status: 'pending' } })
  await kill9()
  rmSync(inTheWay)
  restart()
  await eventually('the target', () => target()[annotations.digest] === digestOf(bytes))

  t.comment('after a rollout was acknowledged')
  const next = randomBytes(1000)
  t.equal(await upload(next), 201)
  const file = join(folder, 'targets/default/hello/annotations')
  renameSync(file, `${file}.away`)
  mkdirSync(file)
  const path = `/deployments/${String(made.json.id)}`
  t.match(await ask('PATCH', path, { digest: digestOf(next) }), { status: 200, json: { current_status: 'syncing' } })
  await kill9()
  rmSync(file, { recursive: true })
  renameSync(`${file}.away`, file)
  restart()
  await eventually('the new target', () => target()[annotations.digest] === digestOf(next))
  t.equal(target()[annotations.artifactUrl]?.endsWith(`/artifacts/${digestOf(next)}`), true)
  t.strictSame(await rolloutsOf(ask, path), [['ada', digestOf(next)]])

  t.comment('with a folder of artifacts that cannot be used')
  const staging = join(folder, 'artifacts/staging')
  rmSync(staging, { recursive: true })
  writeFileSync(staging, 'no folder')
  const last = randomBytes(2 * mebibyte)
  const refused = begin(last)
  refused.sending.end(last)
  const answer = await refused.answered
  t.match(answer, { statusCode: 503, headers: { 'content-type': 'application/problem+json', 'retry-after': '5' } })
  const problem: unknown = JSON.parse(Buffer.concat(await answer.toArray()).toString())
  t.match(problem, { code: 'storage_unavailable', message: /artifacts: the folder cannot be used: .*\(E[A-Z]+\)/ })
  t.equal((await ask('GET', '/artifacts')).status, 200, 'what does not need it is answered')
  rmSync(staging)

  t.comment('stopped while an upload is under way')
  const { sending: slow, answered } = begin(last)
  slow.write(last.subarray(0, mebibyte))
  await eventually('the first half', () => staged().length === 1)
  control.process().kill('SIGTERM')
  await control.process().line('stopping')
  await eventually('nothing new to be taken', () =>
    ask('GET', '/healthz').then(
      () => false,
      () => true,
    ),
  )
  slow.end(last.subarray(mebibyte))
  t.equal((await answered).statusCode, 201)
  t.equal(await control.process().exited, 0)
  t.strictSame(staged(), [])
  const hex = digestOf(last).replace('sha256:', '')
  t.ok(existsSync(join(folder, 'artifacts/sha256', hex.slice(0, 2), hex)))
})

await test('without PostgreSQL it says so, and goes on where it was when it is back', noPostgres, async (t) => {
  const folder = testFolder(t)
  const postgres = await startPostgres()
  t.teardown(postgres.remove)
  const { ask, upload, ready, target } = await createControl(t, folder, { DATABASE_URL: postgres.url })
  await ready()
  await ask('POST', '/apps', { name: 'hello' })
  const all = Array.from({ length: 150 }, () => randomBytes(100))
  const [first = Buffer.of(), ...others] = all
  for (const bytes of all) await upload(bytes)
  const made = await ask('POST', '/deployments', { app: 'hello', digest: digestOf(first) })
  const path = `/deployments/${String(made.json.id)}`

  const acknowledged: string[] = []
  const refused: Answer[] = []
  let isOver = false
  const writing = (async () => {
    for (const bytes of others) {
      if (isOver) break
      const answer = await ask('PATCH', path, { digest: digestOf(bytes) })
      if (answer.status === 200) acknowledged.push(digestOf(bytes))
      else refused.push(answer)
      if (answer.status !== 200) await sleep(100)
    }
  })()
  await eventually('some writes', () => acknowledged.length > 5)
  await postgres.stop()
  await eventually('a refusal', () => refused.length > 0)
  t.match(await ask('GET', '/readyz'), {
    status: 503,
    retryAfter: '5',
    json: { status: 'not ready', faults: [/database/] },
  })
  t.match(await ask('GET', '/deployments'), {
    status: 503,
    type: 'application/problem+json',
    retryAfter: '5',
    json: { code: 'database_unavailable' },
  })
  t.equal(await upload(randomBytes(100)), 503)
  for (const open of ['/healthz', '/metrics']) t.equal((await ask('GET', open)).status, 200, open)
  await postgres.start()
  await ready()
  const before = acknowledged.length
  await eventually('writes again', () => acknowledged.length > before + 2)
  isOver = true
  await writing
  for (const answer of refused)
    t.match(answer, { status: 503, retryAfter: '5', json: { code: 'database_unavailable' } })

  const rows = await askDatabase(
    { connectionString: postgres.url },
    "SELECT to_digest FROM deployment_events WHERE action = 'rollout' ORDER BY id",
  )
  const recorded = rows.map((row) => (isObject(row) ? row.to_digest : undefined))
  t.equal(new Set(recorded).size, recorded.length, 'none twice')
  // One whose answer was lost may be there too.
  t.strictSame(
    recorded.filter((digest) => acknowledged.includes(String(digest))),
    acknowledged,
    'all that were acknowledged, in their order',
  )
  await eventually('the last one', () => target()[annotations.digest] === acknowledged.at(-1))
})

/** Who rolled out what, oldest first. */
async function rolloutsOf(ask: (method: string, path: string) => Promise<Answer>, path: string) {
  const { json } = await ask('GET', path)
  const events: readonly unknown[] = Array.isArray(json.events) ? json.events : []
  return events.flatMap((event) =>
    isObject(event) && event.action === 'rollout' ? [[event.actor, event.to_digest]] : [],
  )
}
