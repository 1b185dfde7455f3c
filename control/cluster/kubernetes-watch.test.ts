// What is seen of a cluster whose API server has a bad day: watches that end, pages, silence, absence.
import { controlAudience } from '@aether/contract/control-api'
import { eventually } from '@aether/runtime/test-process'
import { test } from 'tap'
import { createApp, createToken, status } from './test-api-server.ts'
import { createWorld, ref, spec, target } from './test-world.ts'

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
