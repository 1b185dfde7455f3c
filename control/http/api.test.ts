// The routes, on the real domain, database, folder and targets; test-kit.ts holds each answer against the document.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { agentPaths, roles } from '@aether/contract/control-api'
import { eventually } from '@aether/runtime/test-process'
import { test } from 'tap'
import { errorTable } from '../domain/errors.ts'
import { type Caller, callers, digestOf, openControl, operationsOf } from '../test-kit.ts'

const nowhere = '00000000-0000-4000-8000-000000000000'
const unknownDigest = `sha256:${'0'.repeat(64)}`
const all: readonly Caller[] = roles

/** Written out apart from permissions.ts: operation, request, and who may. */
const matrixOf = (
  app: string,
): readonly (readonly [
  string,
  'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  string,
  unknown,
  readonly Caller[],
])[] => [
  ['createApp', 'POST', '/apps', { name: app }, ['admin', 'deployer']],
  ['listApps', 'GET', '/apps', null, all],
  ['getApp', 'GET', `/apps/${app}`, null, all],
  ['addPublicKey', 'POST', `/apps/${app}/public-keys`, { key: 'x' }, ['admin']],
  ['listPublicKeys', 'GET', `/apps/${app}/public-keys`, null, all],
  ['uploadArtifact', 'POST', '/artifacts', 'bytes', ['admin', 'deployer', 'uploader']],
  ['findLackingObjects', 'POST', `/apps/${app}/objects/lacking`, { digests: [] }, ['admin', 'deployer', 'uploader']],
  ['uploadObjects', 'POST', `/apps/${app}/objects`, 'bytes', ['admin', 'deployer', 'uploader']],
  ['registerTree', 'PUT', `/apps/${app}/trees/${unknownDigest}`, {}, ['admin', 'deployer', 'uploader']],
  ['listArtifacts', 'GET', '/artifacts', null, all],
  ['headArtifact', 'HEAD', `/artifacts/${unknownDigest}`, null, callers],
  ['getArtifact', 'GET', `/artifacts/${unknownDigest}`, null, callers],
  ['getTreePack', 'GET', `/artifacts/${unknownDigest}.full`, null, callers],
  ['getTreeIndex', 'GET', `/artifacts/${unknownDigest}.index`, null, callers],
  ['getTreeDelta', 'GET', `/artifacts/${unknownDigest}.from-${'1'.repeat(64)}`, null, callers],
  ['getArtifactMeta', 'GET', `/artifacts/${unknownDigest}/meta`, null, all],
  ['createDeployment', 'POST', '/deployments', { app: 'nobody', digest: unknownDigest }, ['admin', 'deployer']],
  ['listDeployments', 'GET', '/deployments', null, all],
  ['getDeployment', 'GET', `/deployments/${nowhere}`, null, all],
  ['changeDeployment', 'PATCH', `/deployments/${nowhere}`, { replicas: 2 }, ['admin', 'deployer']],
  ['rollbackDeployment', 'POST', `/deployments/${nowhere}/rollback`, {}, ['admin', 'deployer']],
  ['stopDeployment', 'DELETE', `/deployments/${nowhere}`, null, ['admin', 'deployer']],
  ['getOwnTarget', 'GET', '/pods/self/target', null, ['agent']],
  [
    'putOwnOutcome',
    'PUT',
    '/pods/self/outcome',
    { digest: unknownDigest, outcome: 'ok', serving: null, reason: null, detail: null, message: null, ms: 1 },
    ['agent'],
  ],
]
const open = ['getHealth', 'getReadiness', 'getStartup', 'getMetrics']

await test('every operation takes exactly the tokens it is for', async (t) => {
  const { ask, app, instance } = await openControl(t)
  const matrix = matrixOf(app)
  const documented = operationsOf(instance.swagger()).map(({ id }) => id)
  t.strictSame(documented.toSorted(), [...matrix.map(([id]) => id), ...open].toSorted(), 'the matrix has them all')
  for (const [id, method, path, body, allowed] of matrix) {
    for (const as of callers) {
      const { status, json } = await ask(method, path, { as, body })
      const isRefused = status === 401 || (status === 403 && (method === 'HEAD' || json.code === 'forbidden'))
      t.equal(isRefused, !allowed.includes(as), `${as}: ${id} answers ${status}`)
    }
    t.match(await ask(method, path, { as: 'nobody', body }), {
      status: 401,
      headers: { 'www-authenticate': 'Bearer realm="aether"' },
    })
    t.match(await ask(method, path, { as: 'stranger', body }), {
      status: 401,
      headers: { 'www-authenticate': 'Bearer realm="aether", error="invalid_token"' },
    })
  }
  for (const path of ['/healthz', '/readyz', '/startupz', '/metrics', '/openapi.json', '/docs'])
    t.equal((await ask('GET', path, { as: 'nobody' })).status, 200, path)
})

await test('an app goes from its first artifact to a deployment, another release, back, and out', async (t) => {
  const { ask, app, upload, audited, registry } = await openControl(t)
  const other = `${app}-other`
  t.match(await ask('POST', '/apps', { body: { name: app } }), { status: 200, json: { name: app } })
  t.match(await ask('POST', '/apps', { body: { name: other } }), { status: 201, json: { name: other } })
  const names: string[] = []
  for (let after = ''; after !== 'null'; ) {
    const page = await ask('GET', `/apps?limit=1${after}`)
    t.match(page.json.items, [{ name: /./ }])
    names.push(...(Array.isArray(page.json.items) ? page.json.items.map(({ name }) => String(name)) : []))
    const { next } = page.json
    after = typeof next === 'string' ? `&after=${next}` : 'null'
  }
  t.ok(names.includes(app) && names.includes(other))
  t.strictSame(
    names,
    [...new Set(names)].toSorted((a, b) => (a < b ? -1 : 1)),
    'page by page, each once',
  )

  const [one, two] = [Buffer.from('one'), Buffer.from('two')]
  t.match(await upload(one, { as: 'uploader', headers: { 'aether-commit': 'abc' } }), {
    status: 201,
    json: { app, digest: digestOf(one), bytes: 3, signature: null, commit: 'abc', uploaded_by: 'the-uploader' },
  })
  t.equal((await upload(one, { as: 'uploader' })).status, 200)
  t.equal((await upload(two)).status, 201)
  t.match(await ask('GET', `/artifacts?app=${app}`), {
    json: { items: [{ digest: digestOf(two) }, { digest: digestOf(one) }] },
  })
  t.match(await ask('GET', `/artifacts/${digestOf(one).slice(7)}/meta`), { status: 200, json: { bytes: 3 } })

  t.match(await ask('GET', '/pods/self/target', { as: 'agent' }), { status: 404, json: { code: 'not_found' } })
  const made = await ask('POST', '/deployments', {
    as: 'deployer',
    body: { app, digest: digestOf(one), dev_hot: true, port: 3000, ready_path: '/up', env: { A: 'b' } },
  })
  t.match(made, {
    status: 201,
    headers: { location: /^\/deployments\// },
    json: {
      app,
      namespace: 'default',
      environment: 'default',
      replicas: 1,
      status: 'pending',
      env: { A: 'b' },
      ready_path: '/up',
    },
  })
  const path = `/deployments/${String(made.json.id)}`
  t.match(await ask('POST', '/deployments', { body: { app, digest: digestOf(one) } }), {
    status: 409,
    json: { code: 'conflict' },
  })
  t.match(await ask('POST', '/deployments', { body: { app, digest: digestOf(one), namespace: 'else' } }), {
    status: 403,
    json: { field: 'body.namespace' },
  })
  // With it the cluster makes the token of the app's agents.
  await eventually('it to be applied', async () => (await ask('GET', path)).json.current_status === 'syncing')
  const outcome = { outcome: 'ok', serving: digestOf(one), reason: null, detail: null, message: null, ms: 5 }
  t.equal(
    (await ask('PUT', '/pods/self/outcome', { as: 'agent', body: { digest: digestOf(one), ...outcome } })).status,
    204,
  )
  t.match(await ask('GET', path), {
    json: {
      events: [{ action: 'create', actor: 'the-deployer' }],
      pods: [{ digest: digestOf(one), outcome: 'ok', ms: 5 }],
    },
  })

  t.match(await ask('PATCH', path, { body: { digest: digestOf(two), ready_path: null } }), {
    status: 200,
    json: { digest: digestOf(two), ready_path: null, env: { A: 'b' } },
  })
  t.match(await ask('GET', '/pods/self/target', { as: 'agent' }), {
    status: 200,
    json: { digest: digestOf(two), artifact_url: `http://control.test/artifacts/${digestOf(two)}` },
  })
  t.match(await ask('POST', `${path}/rollback`, { body: {} }), {
    json: { digest: digestOf(one), desired_status: 'rollback' },
  })
  t.match(await ask('GET', `/deployments?app=${app}&limit=5&with_stopped=false`), {
    json: { items: [{ digest: digestOf(one) }] },
  })
  t.equal((await ask('DELETE', path)).status, 204)
  t.match(await ask('DELETE', path), { status: 409 })
  t.match(await ask('GET', `/deployments?app=${app}`), { json: { items: [] } })
  t.match(await ask('GET', `/deployments?app=${app}&with_stopped=true`), {
    json: { items: [{ desired_status: 'stopped' }] },
  })

  const rows = audited.map(({ actor, role, action, subject, outcome: ended }) => [actor, role, action, subject, ended])
  t.strictSame(rows.slice(0, 3), [
    ['the-admin', 'admin', 'createApp', app, 'ok'],
    ['the-admin', 'admin', 'createApp', other, 'ok'],
    ['the-uploader', 'uploader', 'uploadArtifact', `${app} ${digestOf(one)}`, 'ok'],
  ])
  t.strictSame(rows.at(-1), ['the-admin', 'admin', 'stopDeployment', String(made.json.id), 'conflict'])
  t.notOk(rows.some(([actor]) => actor === undefined || actor.includes('agent')))
  const text = await registry.metrics()
  t.match(text, /^http_requests_total\{method="GET",route="\/deployments\/:id",status="200"\} [1-9]/m)
  t.match(text, /^aether_artifacts_uploaded_total\{outcome="known"\} 1$/m)
  t.match(text, /^aether_artifact_upload_bytes_total 6$/m)
  t.match(text, /^deployments_running_total 0$/m)
})

await test('an artifact is given out whole, in part, or not again, and to its own pods only', async (t) => {
  const { ask, app, upload, services, registry } = await openControl(t)
  const other = `${app}-other`
  const bytes = Buffer.from('0123456789')
  const path = `/artifacts/${digestOf(bytes)}`
  const etag = `"${digestOf(bytes)}"`
  await upload(bytes)
  t.match(await ask('HEAD', path), {
    status: 200,
    headers: { etag, 'content-length': '10', 'accept-ranges': 'bytes' },
    bytes: Buffer.alloc(0),
  })
  const whole = await ask('GET', path, { as: 'agent' })
  t.match(whole, {
    status: 200,
    bytes,
    headers: { etag, 'content-type': 'application/gzip', 'cache-control': 'private, max-age=31536000, immutable' },
  })
  for (const [range, expected] of [
    ['bytes=2-4', '2-4'],
    ['bytes=7-', '7-9'],
    ['bytes=-3', '7-9'],
    ['bytes=-99', '0-9'],
    ['bytes=0-99', '0-9'],
  ] as const) {
    const [from = 0, to = 0] = expected.split('-').map(Number)
    t.match(
      await ask('GET', path, { headers: { range, 'if-range': etag } }),
      {
        status: 206,
        bytes: bytes.subarray(from, to + 1),
        headers: { 'content-range': `bytes ${expected}/10`, 'content-length': String(to - from + 1) },
      },
      range,
    )
  }
  for (const range of ['bytes=0-1,3-4', 'bytes=4-2', 'bytes=-', 'chars=0-1', 'bytes=a-b'])
    t.match(await ask('GET', path, { headers: { range } }), { status: 200, bytes }, range)
  t.match(await ask('GET', path, { headers: { range: 'bytes=0-1', 'if-range': '"other"' } }), { status: 200 })
  for (const range of ['bytes=10-', 'bytes=10-20', 'bytes=-0'])
    t.match(
      await ask('GET', path, { headers: { range } }),
      { status: 416, json: { code: 'range' }, headers: { 'content-range': 'bytes */10', 'cache-control': 'no-store' } },
      range,
    )
  for (const tag of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
    const answer = await ask('GET', path, { headers: { 'if-none-match': tag } })
    t.match(answer, { status: 304, headers: { etag }, bytes: Buffer.alloc(0) }, tag)
    t.notOk(answer.headers['content-type'])
  }
  t.equal((await ask('GET', path, { headers: { 'if-none-match': '"x"' } })).status, 200)

  await services.apps.create(other)
  const foreign = Buffer.from('of another app')
  await upload(foreign, { headers: { 'aether-app': other } })
  t.match(await ask('GET', `/artifacts/${digestOf(foreign)}`, { as: 'agent' }), {
    status: 403,
    json: { code: 'foreign_artifact' },
  })
  t.match(await registry.metrics(), /^aether_artifact_download_bytes_total [1-9]/m)
})

await test('the document has an id, a tag and a summary for each operation, and the codes are those of the docs', async (t) => {
  const { instance } = await openControl(t)
  const operations = operationsOf(instance.swagger())
  t.ok(operations.length > 20)
  for (const { id, operation, responses } of operations) {
    t.match(operation, { summary: /./, tags: [/./] }, id)
    t.equal(Array.isArray(operation.security), open.includes(id), id)
    for (const status of Object.keys(responses)) t.match(responses[status], { description: /./ }, `${id} ${status}`)
  }
  const docs = readFileSync(join(import.meta.dirname, '../../docs/contract.md'), 'utf8')
  const rows = [...(docs.split('| code of a refusal |')[1]?.matchAll(/^\| `(\w+)` \| (\d+) \| (.*)\. \|$/gm) ?? [])]
  t.strictSame(
    rows.slice(0, Object.keys(errorTable).length).map(([, code, status, title]) => [code, Number(status), title]),
    Object.entries(errorTable).map(([code, { status, title }]) => [code, status, title]),
  )
})

await test('what an app wrote last is kept where its environment is one for development, and nowhere else', async (t) => {
  for (const [environment, kept] of [
    ['development', 'SyntaxError: no'],
    ['production', null],
  ] as const) {
    const { ask, app, upload } = await openControl(t)
    const bytes = Buffer.from(environment)
    await upload(bytes)
    const digest = digestOf(bytes)
    const made = await ask('POST', '/deployments', { as: 'deployer', body: { app, environment, digest } })
    const path = `/deployments/${String(made.json.id)}`
    await eventually('it to be applied', async () => (await ask('GET', path)).json.current_status === 'syncing')
    const failed = { outcome: 'fail', serving: null, reason: 'unhealthy', detail: 'exited', message: 'it ended', ms: 5 }
    const body = { digest, ...failed, output: 'Syntax\0Error: no' }
    t.equal((await ask('PUT', agentPaths.outcome, { as: 'agent', body })).status, 204)
    t.match(await ask('GET', path), { json: { pods: [{ message: 'it ended', output: kept }] } }, environment)
  }
})
