// The routes, on the real domain, database, folder and targets; test-kit.ts holds each answer against the document.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { roles } from '@aether/contract/control-api'
import { eventually } from '@aether/runtime/test-process'
import { test } from 'tap'
import { ControlError, errorTable } from '../domain/errors.ts'
import { type Caller, callers, digestOf, openControl, operationsOf } from '../test-kit.ts'

const key = '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c'
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

await test('a request that does not fit is refused by a problem that names the field', async (t) => {
  const { ask, app, upload } = await openControl(t)
  const digest = unknownDigest
  for (const [method, path, body, field] of [
    ['POST', '/apps', { name: app, more: 1 }, 'body.more'],
    ['POST', '/apps', {}, 'body.name'],
    ['POST', '/apps', { name: 5 }, 'body.name'],
    ['POST', '/apps', { name: 'a\0b' }, 'body.name'],
    ['POST', `/apps/${app}/public-keys`, { key, comment: 'a\0b' }, 'body.comment'],
    ['POST', '/deployments', { app, digest: 'sha256:1' }, 'body.digest'],
    ['POST', '/deployments', { app, digest, replicas: '1' }, 'body.replicas'],
    ['POST', '/deployments', { app, digest, replicas: 1.5 }, 'body.replicas'],
    ['POST', '/deployments', { app, digest, env: { 'A-B': 'x' } }, 'body.env.A-B'],
    ['POST', '/deployments', { app, digest, env: { A: 5 } }, 'body.env.A'],
    ['POST', '/deployments', { app, digest, ready_path: 'up' }, 'body.ready_path'],
    ['PATCH', `/deployments/${nowhere}`, {}, 'body'],
    ['PATCH', `/deployments/${nowhere}`, { app }, 'body.app'],
    ['GET', '/apps?limit=0', null, 'query.limit'],
    ['GET', '/apps?limit=0x10', null, 'query.limit'],
    ['GET', '/apps?limit=1&limit=2', null, 'query.limit'],
    ['GET', '/apps?limits=1', null, 'query.limits'],
    ['GET', '/apps?after=%00', null, 'query.after'],
    ['GET', '/apps?after=x', null, 'after'],
    ['GET', '/deployments?with_stopped=yes', null, 'query.with_stopped'],
    ['GET', '/apps/%00', null, 'path.app'],
    ['GET', '/deployments/1', null, 'path.id'],
    ['GET', '/artifacts/sha512:0', null, 'path.digest'],
  ] as const) {
    const answer = await ask(method, path, { body })
    t.match(
      answer,
      {
        status: 400,
        headers: { 'content-type': /^application\/problem\+json/ },
        json: { type: 'urn:aether:problem:malformed', status: 400, code: 'malformed', field },
      },
      `${method} ${path} ${JSON.stringify(body)}`,
    )
    t.match(answer.json.message, field === 'body' ? /./ : field.split('.').at(-1))
  }
  for (const [path, body, type, code] of [
    ['/apps', '{"name":', 'application/json', 'malformed'],
    ['/apps', '{"__proto__":{},"name":"a"}', 'application/json', 'malformed'],
    ['/apps', '', 'application/json', 'malformed'],
    ['/apps', 'name=a', 'application/x-www-form-urlencoded', 'media_type'],
    ['/apps', 'name=a', 'nonsense', 'media_type'],
    ['/apps', JSON.stringify({ name: 'a'.repeat(70_000) }), 'application/json', 'too_large'],
    ['/artifacts', '{}', 'application/json', 'media_type'],
  ] as const) {
    const headers = { 'content-type': type, 'aether-app': app, 'aether-digest': digest }
    const { status, json } = await ask('POST', path, { body, headers })
    t.match({ status, json }, { status: errorTable[code].status, json: { code } }, `${path} ${type}`)
  }
  t.match(await upload(Buffer.from('x'), { headers: { 'aether-digest': 'x' } }), {
    status: 400,
    json: { field: 'aether-digest' },
  })
  t.match(await upload(Buffer.from('x'), { headers: { 'aether-app': 'nobody' } }), {
    status: 404,
    json: { code: 'unknown_app' },
  })
  t.match(await upload(Buffer.from('x'), { headers: { 'aether-digest': digest } }), {
    status: 422,
    json: { code: 'wrong_digest' },
  })
  t.match(await upload(Buffer.from('x'), { headers: { 'aether-signature': '00' } }), {
    status: 422,
    json: { code: 'bad_signature' },
  })
  t.match(await ask('POST', `/apps/${app}/public-keys`, { body: { key: '00' } }), {
    status: 422,
    json: { code: 'bad_key', field: 'body.key' },
  })
  t.match(await ask('POST', `/apps/${app}/public-keys`, { body: { key, comment: 'ci' } }), {
    status: 201,
    json: { key, comment: 'ci' },
  })
  t.equal((await ask('POST', `/apps/${app}/public-keys`, { body: { key } })).status, 200)
  t.match(await upload(Buffer.from('x')), {
    status: 422,
    json: { code: 'signature_required', field: 'aether-signature' },
  })
})

await test('unknown routes are 404 without a token, and wrong methods 405 with one where their path needs it', async (t) => {
  const { ask } = await openControl(t)
  for (const path of ['/', '/nope', '/apps/a/b/c'])
    t.match(await ask('GET', path, { as: 'nobody' }), { status: 404, json: { code: 'not_found', request_id: /./ } })
  t.match(await ask('GET', '/apps/%ff', { as: 'nobody' }), {
    status: 400,
    json: { code: 'malformed', request_id: /./ },
  })
  t.match(await ask('GET', `/apps/${'a'.repeat(600)}`), { status: 400, json: { code: 'malformed' } })
  t.match(await ask('DELETE', '/apps', { as: 'nobody' }), { status: 401 })
  t.match(await ask('DELETE', '/apps', { as: 'reader' }), { status: 405, headers: { allow: 'GET, HEAD, POST' } })
  t.match(await ask('POST', '/healthz', { as: 'nobody', body: {} }), { status: 405, headers: { allow: 'GET, HEAD' } })
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

await test('request ids are taken where they are sane, and are in the answer, the problem, the log and the audit', async (t) => {
  const { ask, audited, logged } = await openControl(t)
  const mine = { 'x-request-id': 'build-7.a_B' }
  const { headers, json } = await ask('POST', '/apps', { body: { name: 'x y' }, headers: mine })
  t.equal(headers['x-request-id'], 'build-7.a_B')
  t.equal(json.request_id, 'build-7.a_B')
  t.match(audited, [{ requestId: 'build-7.a_B', outcome: 'malformed' }])
  t.match(
    logged.findLast(({ message }) => message === 'answered'),
    { fields: { request_id: 'build-7.a_B', status: '400', route: '/apps' } },
  )
  for (const bad of ['', 'a b', 'é', 'a'.repeat(65), '"'])
    t.match(
      (await ask('GET', '/healthz', { headers: { 'x-request-id': bad } })).headers['x-request-id'],
      /^[0-9a-f-]{36}$/,
    )
})

await test('a fault of ours says nothing of its inside, is logged with its id, and a failing audit breaks nothing', async (t) => {
  let fault: Error = new Error('password=hunter2')
  const control = await openControl(t, {
    audit: () => Promise.reject(new Error('the audit is away')),
  })
  const { instance, logged, ask } = control
  const answer = await ask('POST', '/apps', { body: { name: 'fine' } })
  t.equal(answer.status, 201)
  t.match(
    logged.find(({ level }) => level === 'error'),
    { message: 'the audit could not be written' },
  )

  const broken = await openControl(t, {
    services: {
      ...control.services,
      apps: { ...control.services.apps, list: () => Promise.reject(fault) },
      faults: async () => ['the database does not answer'],
    },
  })
  const refused = await broken.ask('GET', '/apps')
  t.match(refused, { status: 500, json: { code: 'internal', message: 'a fault of ours: tell the request id' } })
  t.notMatch(JSON.stringify(refused.json), 'hunter2')
  t.match(
    broken.logged.find(({ level }) => level === 'error'),
    { fields: { request_id: refused.json.request_id, err: fault } },
  )
  for (const code of ['database_unavailable', 'storage_unavailable'] as const) {
    fault = new ControlError(code, 'away')
    t.match(await broken.ask('GET', '/apps'), { status: 503, json: { code }, headers: { 'retry-after': '5' } })
  }
  t.match(await broken.ask('GET', '/readyz', { as: 'nobody' }), {
    status: 503,
    json: { faults: ['the database does not answer'] },
  })
  t.equal((await broken.ask('GET', '/healthz', { as: 'nobody' })).status, 200)
  t.notMatch(JSON.stringify([...logged, ...broken.logged]), /Bearer/)
  t.ok(instance.printRoutes())
})

await test('who tries too many tokens waits, and who showed a good one of late does not', async (t) => {
  const { ask } = await openControl(t, { limits: { requests: 60, failedTokens: 3 } })
  t.equal((await ask('GET', '/apps', { as: 'reader' })).status, 200)
  for (let tries = 0; tries < 3; tries++) t.equal((await ask('GET', '/apps', { as: 'stranger' })).status, 401)
  t.match(await ask('GET', '/apps', { as: 'stranger' }), {
    status: 429,
    json: { code: 'too_many' },
    headers: { 'retry-after': /^\d+$/ },
  })
  t.equal((await ask('GET', '/apps', { as: 'admin' })).status, 429, 'good, and not seen before')
  t.equal((await ask('GET', '/apps', { as: 'reader' })).status, 200)
  let last = await ask('GET', '/nope')
  for (let tries = 0; tries < 60; tries++)
    last = await ask('GET', tries % 2 === 0 ? '/nope' : '/apps', { as: 'reader' })
  t.match(last, { status: 429, json: { code: 'too_many' }, headers: { 'retry-after': /^\d+$/ } })
  t.equal((await ask('GET', '/healthz')).status, 200, 'probes are not limited')
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
