// For tests: what deployments and their events promise, for each engine to hold. They go on with the apps of test-calls.ts.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { currentStatuses, desiredStatuses, eventActions, type Page, type Paged } from '../domain/model.ts'
import type { Store } from '../domain/ports.ts'
import { unsigned } from '../domain/signature.ts'
import type { Call } from './test-calls.ts'
import { createEvent, errorOf, someDigest, someHex, specOf } from './test-engines.ts'

export const deploymentCalls: readonly Call[] = [
  ['an app lives once in a namespace, until it is stopped', deploymentsHold],
  ['a change is written where the version is the one that was read, with its event', changesHold],
  ['pages show each row once, in order, whatever is added meanwhile', pagesHold],
  ['of the events the last come, oldest first', eventsHold],
  ['of writers at the same moment one wins, and the others are told', racesHaveOneWinner],
]

const first: Page = { limit: 2, after: null }

/** Every item, page by page. */
async function allPages<T>(list: (page: Page) => Promise<Paged<T>>, limit: number): Promise<readonly T[]> {
  const items: T[] = []
  let after: string | null = null
  do {
    const page: Paged<T> = await list({ limit, after })
    items.push(...page.items)
    after = page.next
  } while (after !== null)
  return items
}

async function deploymentsHold(t: Test, store: Store): Promise<void> {
  const digest = someDigest()
  const made = await store.createDeployment(specOf('one'), digest, { ...createEvent, toDigest: digest })
  const { id, createdAt } = made
  t.strictSame(made, {
    ...specOf('one'),
    id,
    version: 1,
    digest,
    desiredStatus: 'active',
    currentStatus: 'pending',
    failureReason: null,
    failureMessage: null,
    isApplied: false,
    isTargetWritten: false,
    createdAt,
    updatedAt: createdAt,
    lastTransitionAt: createdAt,
    digestAt: createdAt,
  })
  t.match(await store.listEvents(id, 10), [{ ...createEvent, deploymentId: id, toDigest: digest, at: createdAt }])
  const again = await errorOf(store.createDeployment(specOf('one'), digest, createEvent))
  t.match(again, { code: 'conflict', message: /not stopped/ })
  t.match(await errorOf(store.createDeployment(specOf('none'), digest, createEvent)), { code: 'unknown_app' })
  const elsewhere = await store.createDeployment(specOf('one', 'staging'), digest, createEvent)
  t.strictSame(await store.findDeployment(id), made)
  t.equal(await store.findDeployment('no uuid'), undefined)
  t.strictSame(await store.findLive('default', 'one'), made)
  t.strictSame(await store.listLive(), [made, elsewhere])
  t.strictSame(await store.countByStatus(), { pending: 2, syncing: 0, healthy: 0, failed: 0 })

  const stopped = await store.changeDeployment(id, 1, { desiredStatus: 'stopped' }, { ...createEvent, action: 'stop' })
  t.match(stopped, { version: 2, desiredStatus: 'stopped' })
  t.equal(await store.findLive('default', 'one'), undefined)
  t.strictSame(await store.listLive(), [elsewhere])
  t.strictSame(await store.countByStatus(), { pending: 1, syncing: 0, healthy: 0, failed: 0 })
  const next = await store.createDeployment(specOf('one'), digest, createEvent)
  const revived = store.changeDeployment(id, 2, { desiredStatus: 'active' }, null)
  t.match(await errorOf(revived), { code: 'conflict' }, 'the stopped one cannot come back beside it')
  const list = async (withStopped: boolean, app: string | null, namespace: string | null) =>
    (await store.listDeployments({ app, namespace, withStopped }, { limit: 9, after: null })).items.map((one) => one.id)
  t.strictSame(await list(true, null, null), [next.id, elsewhere.id, id])
  t.strictSame(await list(false, 'one', null), [next.id, elsewhere.id])
  t.strictSame(await list(true, null, 'staging'), [elsewhere.id])
  t.strictSame(await list(true, 'two', null), [])
}

async function changesHold(t: Test, store: Store): Promise<void> {
  const made = await store.createDeployment(specOf('two'), someDigest(), createEvent)
  const change = {
    replicas: 0,
    devHot: false,
    port: 65_535,
    readyPath: null,
    env: {},
    digest: someDigest(),
    desiredStatus: 'rollback',
    currentStatus: 'failed',
    failureReason: 'unhealthy',
    failureMessage: `it did not\0 come up${'!'.repeat(5_000)}`,
    isApplied: true,
    isTargetWritten: true,
  } as const
  await sleep(5) // clocks are read in milliseconds: the change must be seen to be later
  const changed = await store.changeDeployment(made.id, 1, change, {
    ...createEvent,
    action: 'update',
    message: 'why',
  })
  if (changed === undefined) throw new Error('not changed')
  const { failureMessage, lastTransitionAt, digestAt, updatedAt } = changed
  t.match(failureMessage, /^it did not come up!+\.\.\.$/)
  t.equal(failureMessage?.length, 2_000)
  t.ok(updatedAt > made.updatedAt)
  t.strictSame([lastTransitionAt, digestAt], [updatedAt, updatedAt], 'the clocks follow')
  const { id, createdAt } = made
  t.strictSame(changed, {
    ...made,
    ...change,
    version: 2,
    failureMessage,
    lastTransitionAt,
    digestAt,
    updatedAt,
    createdAt,
  })
  t.strictSame(await store.findDeployment(id), changed)
  t.match((await store.listEvents(id, 1))[0], { action: 'update', message: 'why' })

  t.equal(await store.changeDeployment(id, 1, { replicas: 9 }, { ...createEvent, action: 'rollout' }), undefined)
  t.equal(await store.changeDeployment('none', 1, { replicas: 9 }, null), undefined)
  t.equal((await store.listEvents(id, 10)).length, 2, 'what was not written has no event')

  const same = await store.changeDeployment(id, 2, { currentStatus: 'failed', digest: change.digest }, null)
  t.match(same, { version: 3, lastTransitionAt, digestAt }, 'the same status is no transition')
  const at = new Date('2026-01-02T03:04:05.678Z')
  const given = { currentStatus: 'healthy', lastTransitionAt: at, digestAt: at, failureReason: null } as const
  t.match(await store.changeDeployment(id, 3, given, null), { version: 4, ...given })

  const words = [
    ...desiredStatuses.map((desiredStatus) => ({ desiredStatus })),
    ...currentStatuses.map((currentStatus) => ({ currentStatus })),
  ]
  for (const [n, word] of words.entries()) t.match(await store.changeDeployment(id, 4 + n, word, null), word)
  for (const action of eventActions)
    for (const status of currentStatuses)
      t.ok(
        await store.changeDeployment(
          id,
          (await store.findDeployment(id))?.version ?? 0,
          {},
          { ...createEvent, action, status },
        ),
      )
}

async function pagesHold(t: Test, store: Store): Promise<void> {
  for (const name of ['b-app', 'a-app', 'a0', '0app']) await store.createApp(name)
  const names = (await allPages(store.listApps, 2)).map(({ name }) => name)
  t.strictSame(names, ['0app', 'a-app', 'a0', 'b-app', 'one', 'two'])
  t.strictSame(await allPages(store.listApps, 6), await allPages(store.listApps, 1))

  const digests = [someDigest(), someDigest(), someDigest(), someDigest(), someDigest()]
  for (const digest of digests)
    await store.addArtifact({
      app: 'a0',
      digest,
      kind: 'archive',
      bytes: 1,
      entries: null,
      ...unsigned,
      commit: null,
      uploadedBy: 'ci',
    })
  const listed = (page: Page) => store.listArtifacts({ app: 'a0' }, page)
  const page = await listed(first)
  await store.addArtifact({
    app: 'a0',
    digest: someDigest(),
    kind: 'archive',
    bytes: 1,
    entries: null,
    ...unsigned,
    commit: null,
    uploadedBy: 'ci',
  })
  const rest = await listed({ limit: 9, after: page.next })
  t.strictSame(
    [...page.items, ...rest.items].map(({ digest }) => digest),
    digests.toReversed(),
  )
  t.equal(rest.next, null)
  t.equal((await allPages((one) => store.listArtifacts({ app: null }, one), 3)).length, 8)
  const all = (one: Page) => store.listDeployments({ app: null, namespace: null, withStopped: true }, one)
  t.strictSame(await allPages(all, 1), (await all({ limit: 99, after: null })).items)

  for (const after of ['', 'x', 'MQ==', 'LTE', Buffer.from('1 OR 1').toString('base64url'), '9'.repeat(99)])
    for (const list of [all, listed, store.listApps])
      if (list !== store.listApps || !['MQ', ''].includes(after))
        t.match(await errorOf(list({ limit: 2, after })), { code: 'malformed', field: 'after' }, after)
}

async function eventsHold(t: Test, store: Store): Promise<void> {
  const made = await store.createDeployment(specOf('a0'), someDigest(), createEvent)
  for (const [n, reason] of ['a', 'b', 'c'].entries())
    await store.changeDeployment(made.id, n + 1, {}, { ...createEvent, action: 'status', status: 'failed', reason })
  const reasons = async (limit: number) => (await store.listEvents(made.id, limit)).map(({ reason }) => reason)
  t.strictSame(await reasons(2), ['b', 'c'])
  t.strictSame(await reasons(99), [null, 'a', 'b', 'c'])
  t.strictSame(await store.listEvents('none', 9), [])
}

async function racesHaveOneWinner(t: Test, store: Store): Promise<void> {
  await store.createApp('raced')
  const five = [1, 2, 3, 4, 5]
  const settled = await Promise.allSettled(
    five.map(() => store.createDeployment(specOf('raced'), someDigest(), createEvent)),
  )
  const [won, ...more] = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  if (won === undefined) throw new Error('none won')
  t.strictSame(more, [])
  const codes = settled.flatMap((one) => (one.status === 'rejected' ? [one.reason.code] : []))
  t.strictSame(codes, ['conflict', 'conflict', 'conflict', 'conflict'])
  t.equal((await store.listEvents(won.id, 9)).length, 1, 'the losers left no event')

  const changed = await Promise.all(
    five.map((replicas) => store.changeDeployment(won.id, 1, { replicas }, { ...createEvent, action: 'update' })),
  )
  t.equal(changed.filter((one) => one !== undefined).length, 1)
  t.equal((await store.listEvents(won.id, 9)).length, 2)

  const apps = await Promise.all(five.map(() => store.createApp('raced-too')))
  t.equal(apps.filter(({ isNew }) => isNew).length, 1)
  const lists = five.map((n) => five.map((m) => ({ sha256: someHex(32), role: 'admin' as const, user: `${n}-${m}` })))
  await Promise.all(lists.map((list) => store.setTokens(list)))
  const inForce = await Promise.all(lists.map((list) => Promise.all(list.map(({ sha256 }) => store.findToken(sha256)))))
  t.equal(inForce.filter((list) => list.every((one) => one !== undefined)).length, 1)
  t.equal(inForce.flat().filter((one) => one !== undefined).length, 5, 'of several lists one is in force, whole')
}
