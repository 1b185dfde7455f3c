// What is asked of an API server, and what becomes of its answers.
import { controlAudience } from '@aether/contract/control-api'
import { eventually } from '@aether/runtime/test-process'
import { test } from 'tap'
import { createApp, createToken, status } from './test-api-server.ts'
import { createWorld, ref, target } from './test-world.ts'

await test('answers of the API server become errors that say whose turn it is', async (t) => {
  const { server, cluster, begin } = await createWorld(t)
  await begin()
  const cases = [
    [429, 'cluster_unavailable'],
    [500, 'cluster_unavailable'],
    [401, 'cluster_unavailable'],
    [403, 'cluster_refused'],
    [422, 'cluster_refused'],
  ] as const
  for (const [code, word] of cases) {
    server.refuse = ({ method }) =>
      method === 'PATCH' ? { status: code, body: status(code, `words of ${code}`) } : undefined
    await t.rejects(cluster.setTarget(ref, target, true), {
      code: word,
      message: new RegExp(`words of ${code}`),
      cause: { status: code },
    })
  }
  server.refuse = ({ method }) => (method === 'PATCH' ? 'cut' : undefined)
  await t.rejects(cluster.setTarget(ref, target, true), { code: 'cluster_unavailable' })

  t.comment('a pod that is gone, or whose name another has now, is not annotated and no error')
  server.refuse = ({ method, path }) => {
    if (!path.endsWith('/pods/cart-pod')) return undefined
    if (method === 'PATCH') return { status: 409, body: status(409, 'the uid does not hold') }
    return { status: 200, body: { metadata: { uid: 'another' } } }
  }
  await cluster.annotatePod(ref, 'cart-pod', target)
  t.match(server.asked.findLast(({ method }) => method === 'PATCH')?.body, /"uid":"pod-cart"/)
})

await test('our own write is in the view at once, whatever the watch says later', async (t) => {
  const { server, cluster, begin, digest, change } = await createWorld(t)
  await begin()
  server.refuse = ({ method }) =>
    method === 'PATCH' ? { status: 200, body: createApp('cart', 'two', '20').deployment } : undefined
  await cluster.setTarget(ref, target, true)
  t.equal(digest(), 'two')
  server.send('deployments', { type: 'MODIFIED', object: createApp('cart', 'one', '9').deployment })
  server.send('deployments', { type: 'MODIFIED', object: createApp('cart', 'three', '100').deployment })
  await eventually('the newer one', () => digest() !== 'two')
  t.equal(digest(), 'three')

  t.comment('a cluster that was restored begins at older versions')
  server.refuse = () => undefined
  change('four', '5')
  server.cut()
  await eventually('the list', () => digest() === 'four')
})

await test('a target is not written over a digest that came in between', async (t) => {
  const { server, cluster, begin } = await createWorld(t)
  await begin()
  const versions: unknown[] = []
  let now = createApp('cart', 'one', '7')
  server.refuse = ({ method, path, body }) => {
    if (!path.endsWith('/deployments/cart')) return undefined
    if (method === 'GET') return { status: 200, body: now.deployment }
    const { metadata } = JSON.parse(body)
    versions.push(metadata.resourceVersion)
    return metadata.resourceVersion === now.deployment.metadata.resourceVersion
      ? { status: 200, body: now.deployment }
      : { status: 409, body: status(409, 'the object has been modified') }
  }
  await cluster.setTarget(ref, target, true, 'one')
  t.same(versions.splice(0), ['1', '7'], 'only the status was changed: once more')
  now = createApp('cart', 'two', '8')
  await t.rejects(cluster.setTarget(ref, target, true, 'one'), { code: 'changed_meanwhile' })
  t.same(versions.splice(0), ['7'])
  await t.rejects(cluster.setTarget(ref, target, true, 'three'), { code: 'changed_meanwhile' })
  t.same(versions, [], 'what the view shows already is not even tried')
})

await test('many requests go over few connections, with the token that is valid now', async (t) => {
  const { server, cluster, begin } = await createWorld(t)
  await begin()
  server.refuse = ({ method }) => (method === 'PATCH' ? { status: 200, body: {} } : undefined)
  const before = server.connections()
  for (let turn = 0; turn < 50; turn++) await cluster.setTarget(ref, target, true)
  t.ok(server.connections() - before <= 3, `${server.connections() - before} connections for 50 requests`)
  t.equal(server.asked.at(-1)?.token, 'first')
  server.setToken('second')
  await cluster.setTarget(ref, target, true)
  t.equal(server.asked.at(-1)?.token, 'second')
})

await test('a token is reviewed once in a while, and only where it says that it is meant for us', async (t) => {
  const { server, cluster, begin } = await createWorld(t)
  await begin()
  const shelf = createApp('shelf', 'one')
  let audiences = [controlAudience]
  let pod = { name: 'cart-pod', uid: 'pod-cart' }
  server.refuse = ({ path }) => {
    if (path.endsWith('/pods/shelf-pod')) return { status: 200, body: shelf.pod }
    if (path.endsWith('/replicasets/shelf-set')) return { status: 200, body: shelf.set }
    if (path.endsWith('/deployments/shelf-set')) return { status: 200, body: shelf.deployment }
    if (!path.endsWith('/tokenreviews')) return undefined
    const extra = {
      'authentication.kubernetes.io/pod-name': [pod.name],
      'authentication.kubernetes.io/pod-uid': [pod.uid],
    }
    const user = { username: 'system:serviceaccount:shop:cart', extra }
    return { status: 201, body: { status: { authenticated: true, audiences, user } } }
  }
  const reviews = () => server.asked.filter(({ path }) => path.endsWith('/tokenreviews')).length
  const exp = Date.now() / 1000 + 600
  const token = (jti: string) => createToken({ aud: [controlAudience], exp, jti })

  const agents = await Promise.all([cluster.identify(token('1')), cluster.identify(token('1'))])
  t.match(agents[0], { kind: 'agent', app: 'cart', namespace: 'shop', podUid: 'pod-cart', podName: 'cart-pod' })
  t.same(await cluster.identify(token('1')), agents[1])
  t.equal(reviews(), 1, 'three questions, one review')

  t.comment('a pod that the watch has not shown yet is asked for, up to its Deployment')
  pod = { name: 'shelf-pod', uid: 'pod-shelf' }
  t.match(await cluster.identify(token('2')), { app: 'shelf', podUid: 'pod-shelf' })

  t.comment('never an agent: another pod of that name, a pod that is gone, another audience')
  pod = { name: 'shelf-pod', uid: 'an-older-one' }
  t.equal(await cluster.identify(token('3')), undefined)
  pod = { name: 'gone', uid: 'gone' }
  t.equal(await cluster.identify(token('4')), undefined)
  audiences = ['another']
  t.equal(await cluster.identify(token('5')), undefined)

  t.comment('never sent: expired, meant for others, or no such token at all')
  const before = reviews()
  for (const secret of [
    createToken({ aud: [controlAudience], exp: 1 }),
    createToken({ aud: 'https://kubernetes', exp }),
    'secret',
    'a.b.c',
  ])
    t.equal(await cluster.identify(secret), undefined)
  t.equal(reviews(), before)
})
