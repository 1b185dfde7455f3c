// What the API server does on its bad days.
import { controlAudience } from '@aether/contract/control-api'
import { eventually } from '@aether/runtime/test-process'
import { type Test, test } from 'tap'
import { createKubernetesCluster } from './kubernetes.ts'
import { createApp, createTestApiServer, createToken, status } from './test-api-server.ts'

const ref = { namespace: 'shop', app: 'cart' }
const target = { digest: 'sha256:1', artifactUrl: 'http://a/1', signature: null, commit: null }
const spec = {
  ...ref,
  environment: 'test',
  replicas: 1,
  devHot: true,
  port: 8080,
  readyPath: null,
  env: {},
}

async function createWorld(t: Test, silenceMs = 60_000) {
  const server = await createTestApiServer(t)
  const cart = createApp('cart', 'one')
  server.lists.set('deployments', [cart.deployment]).set('replicasets', [cart.set]).set('pods', [cart.pod])
  const changes: string[] = []
  const cluster = createKubernetesCluster({
    kubeconfig: server.kubeconfig,
    namespace: 'shop',
    pods: { agentImage: 'a', nodejsImage: 'n', controlUrl: 'http://control', fetchMode: 'watch', keysSecret: 'keys' },
    log: { warn() {} },
    times: { silenceMs, shortestPauseMs: 10, longestPauseMs: 100 },
  })
  t.teardown(() => cluster.stop())
  const lists = (of = 'pods') =>
    server.asked.filter(({ path, query }) => path.endsWith(`/${of}`) && !query.has('watch')).length
  const watching = () =>
    eventually('three watches', () => ['pods', 'replicasets', 'deployments'].every((one) => server.watches(one) === 1))
  return {
    server,
    cluster,
    changes,
    lists,
    watching,
    async begin() {
      await cluster.start(({ app }) => changes.push(app))
      await watching()
      await eventually('the app told', () => changes.includes('cart'))
      changes.length = 0
    },
    digest: () => cluster.view(ref)?.target.digest,
    /** Puts the app into the lists with another digest; the watches say nothing of it. */
    change(digest: string, version: string) {
      const next = createApp('cart', digest, version)
      server.lists.set('deployments', [next.deployment]).set('pods', [next.pod])
      return next
    },
  }
}

await test('lists afresh after each way a watch can end, and tells what differs', async (t) => {
  const { server, cluster, changes, lists, watching, begin, digest, change } = await createWorld(t)
  await begin()
  t.match(cluster.view(ref), {
    target: { digest: 'one' },
    isRolledOut: true,
    pods: [{ uid: 'pod-cart', isReady: true }],
  })

  const ways: Readonly<Record<string, () => void>> = {
    '410 as an event': () => server.send('deployments', { type: 'ERROR', object: status(410, 'too old') }),
    'a cut connection': () => server.cut(),
    'a line that is no event': () => server.send('deployments', { type: 'MODIFIED', object: {} }),
  }
  let version = 1
  for (const [way, happens] of Object.entries(ways)) {
    changes.length = 0
    change(way, String(++version))
    happens()
    await eventually(`the digest after ${way}`, () => digest() === way)
    await watching()
    t.ok(changes.includes('cart'), way)
    t.equal(cluster.fault(), null, `${way}: no fault is left`)
  }

  t.comment('410 as a status, three times: each time a fresh list, never the old version again')
  let refusals = 3
  const before = lists()
  server.refuse = ({ path, query }) =>
    path.endsWith('/pods') && query.has('watch') && refusals-- > 0
      ? { status: 410, body: status(410, 'too old') }
      : undefined
  server.cut()
  await eventually('lists', () => lists() >= before + 4)
  await watching()

  t.comment('what is the same after a list is not told')
  changes.length = 0
  const again = lists()
  server.cut()
  await eventually('a list', () => lists() > again)
  await watching()
  t.same(changes, [])

  t.comment('gone from the list is gone from the view, and told')
  server.lists.set('deployments', [])
  server.cut()
  await eventually('the end of the app', () => digest() === undefined)
  t.ok(changes.includes('cart'))
})

await test('a watch that is silent for too long is begun anew; bookmarks keep it', async (t) => {
  const { server, lists, begin, digest, change, watching } = await createWorld(t, 300)
  await begin()
  change('two', '2')
  await eventually('the digest that no event told', () => digest() === 'two')
  await watching()
  const ofPods = lists('pods')
  const ofDeployments = lists('deployments')
  const bookmark = { type: 'BOOKMARK', object: { metadata: { resourceVersion: '200' } } }
  const beat = setInterval(() => server.send('pods', bookmark), 20)
  t.teardown(() => clearInterval(beat))
  await eventually('lists of what has no bookmarks', () => lists('deployments') - ofDeployments > 3)
  t.ok(lists('pods') - ofPods < 3, `${lists('pods') - ofPods} lists of what has them`)
})

await test('an API server that is away is a fault until it is back, and nothing else', async (t) => {
  const { server, cluster, begin, digest, change } = await createWorld(t)
  await begin()
  await server.leave()
  await eventually('the fault', () => cluster.fault() !== null)
  t.match(cluster.fault(), /are not followed .*cannot be reached/)
  t.equal(digest(), 'one', 'the last that was seen')
  await t.rejects(cluster.apply(spec, target), { code: 'cluster_unavailable', message: /apply shop\/cart/ })
  await t.rejects(cluster.identify(createToken({ aud: [controlAudience], exp: Date.now() / 1000 + 60 })), {
    code: 'cluster_unavailable',
  })
  change('two', '2')
  await server.comeBack()
  await eventually('the new digest', () => digest() === 'two')
  await eventually('no fault', () => cluster.fault() === null)
})

await test('starts when the first lists are in, however late, over all their pages', async (t) => {
  const { server, cluster, changes } = await createWorld(t)
  const shelf = createApp('shelf', 'one')
  server.refuse = ({ path, query }) => {
    if (server.asked.length < 4) return { status: 403, body: status(403, 'deployments is forbidden') }
    if (!path.endsWith('/deployments') || query.has('watch')) return undefined
    const isLast = query.get('continue') === 'more'
    const items = isLast ? [shelf.deployment] : server.lists.get('deployments')
    return { status: 200, body: { metadata: { resourceVersion: '5', continue: isLast ? '' : 'more' }, items } }
  }
  const started = cluster.start(({ app }) => changes.push(app))
  await eventually('the refusal', () => cluster.fault()?.includes('forbidden') === true)
  await started
  await eventually('both apps told', () => changes.length === 2)
  t.same(changes.toSorted(), ['cart', 'shelf'])
})

await test('a start that is stopped before the first lists are in ends', async (t) => {
  const { server, cluster } = await createWorld(t)
  server.refuse = () => ({ status: 403, body: status(403, 'forbidden') })
  const ended = t.rejects(
    cluster.start(() => {}),
    { code: 'cluster_unavailable', message: /stops/ },
  )
  await cluster.stop()
  await ended
})

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
