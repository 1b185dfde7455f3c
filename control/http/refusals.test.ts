// What the API refuses and how it says so: fields, routes, faults of its own, too many tries; and the id of each request.
import { test } from 'tap'
import { ControlError, errorTable } from '../domain/errors.ts'
import { openControl } from '../test-kit.ts'

const key = '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c'
const nowhere = '00000000-0000-4000-8000-000000000000'
const unknownDigest = `sha256:${'0'.repeat(64)}`

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
