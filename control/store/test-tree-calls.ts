// For tests: what the objects of trees promise, for each engine to hold.
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { digestFromHex } from '@aether/contract/digest'
import type { Test } from 'tap'
import type { Store } from '../domain/ports.ts'
import { unsigned } from '../domain/signature.ts'
import type { Call } from './test-calls.ts'
import { errorOf, someHex } from './test-engines.ts'

export const treeCalls: readonly Call[] = [
  ['an object is the app’s that sent it, and stays where it came first', objectsHold],
  ['a tree names its objects, or none where one is gone', treesHold],
  ['what nobody names goes after its time, and a pack with its last object', collectionHolds],
  ['a pack that is lost takes the trust of its app’s trees, and of no other', lossHolds],
  ['two uploads, registrations and a collection at once lose nothing that was named', racesHold],
]

const object = (digest: string, at = 0) => ({ digest, kind: 'file' as const, at, bytes: 10 })

function treeOf(app: string, hex: string) {
  const rest = { ...unsigned, commit: null, uploadedBy: 'ci' }
  return { app, digest: digestFromHex(hex), kind: 'tree' as const, bytes: 10, entries: 1, ...rest }
}

async function objectsHold(t: Test, store: Store): Promise<void> {
  await store.createApp('trees')
  await store.createApp('trees-other')
  const [one, two] = [someHex(32), someHex(32)]
  const [first, second] = [randomUUID(), randomUUID()]
  await store.addObjects('trees', first, [object(one), { ...object(two, 10), kind: 'object' }])
  await store.addObjects('trees', second, [object(one, 500)])
  const found = await store.findObjects('trees', [one, two, someHex(32)])
  t.strictSame(
    found.toSorted((a, b) => a.at - b.at),
    [
      { ...object(one), pack: first, isNamed: false },
      { ...object(two, 10), kind: 'object', pack: first, isNamed: false },
    ],
  )
  t.strictSame(await store.findObjects('trees-other', [one, two]), [])
  t.match(await errorOf(store.addObjects('none', randomUUID(), [object(one)])), { code: 'unknown_app' })
  const many = Array.from({ length: 12_000 }, (_, at) => object(someHex(32), at))
  await store.addObjects('trees', randomUUID(), many)
  const places = await store.findObjects(
    'trees',
    many.map(({ digest }) => digest),
  )
  t.equal(places.length, many.length)
}

async function treesHold(t: Test, store: Store): Promise<void> {
  const [root, file, gone] = [someHex(32), someHex(32), someHex(32)]
  await store.addObjects('trees', randomUUID(), [{ ...object(root), kind: 'object' }, object(file, 10)])
  const tree = treeOf('trees', root)
  t.match(await errorOf(store.addTree(tree, [root, file, gone])), { code: 'incomplete' })
  t.equal(await store.findArtifact('trees', tree.digest), undefined)
  t.notOk(
    (await store.findObjects('trees', [root])).some(({ isNamed }) => isNamed),
    'nothing of it is half done',
  )
  t.match(await store.addTree(tree, [root, file]), { isNew: true, artifact: tree })
  t.match(await store.addTree(tree, []), { isNew: false, artifact: tree })
  t.ok((await store.findObjects('trees', [root, file])).every(({ isNamed }) => isNamed))
}

async function collectionHolds(t: Test, store: Store): Promise<void> {
  const [named, stray, fresh] = [someHex(32), someHex(32), someHex(32)]
  const [mixed, lone] = [randomUUID(), randomUUID()]
  await store.addObjects('trees', mixed, [{ ...object(named), kind: 'object' }, object(stray, 10)])
  await store.addObjects('trees', lone, [object(fresh)])
  await store.addTree(treeOf('trees', named), [named])
  t.strictSame(await store.collectObjects(3600), [], 'nothing is old enough')
  t.equal((await store.findObjects('trees', [named, stray, fresh])).length, 3)
  await sleep(1_100)
  await store.addObjects('trees', randomUUID(), [object(fresh)])
  const removed = await store.collectObjects(1)
  t.notOk(removed.some(({ id }) => id === mixed || id === lone))
  t.strictSame(
    (await store.findObjects('trees', [named, stray, fresh])).map(({ digest }) => digest).toSorted(),
    [named, fresh].toSorted(),
    'sent again is asked for again',
  )
  await sleep(1_100)
  t.ok((await store.collectObjects(1)).some(({ id, app }) => id === lone && app === 'trees'))
  t.strictSame(await store.findObjects('trees', [fresh]), [])
  t.ok((await store.listPacks()).some(({ id }) => id === mixed))
  t.notOk((await store.listPacks()).some(({ id }) => id === lone))
}

async function lossHolds(t: Test, store: Store): Promise<void> {
  const [a, b, other] = [someHex(32), someHex(32), someHex(32)]
  const [lost, kept, elsewhere] = [randomUUID(), randomUUID(), randomUUID()]
  await store.addObjects('trees', lost, [{ ...object(a), kind: 'object' }])
  await store.addObjects('trees', kept, [{ ...object(b), kind: 'object' }])
  await store.addObjects('trees-other', elsewhere, [{ ...object(other), kind: 'object' }])
  for (const [app, hex] of [
    ['trees', a],
    ['trees', b],
    ['trees-other', other],
  ] as const)
    await store.addTree(treeOf(app, hex), [hex])
  await store.losePacks([{ app: 'trees', id: lost }])
  t.strictSame(await store.findObjects('trees', [a]), [])
  t.match(await store.findObjects('trees', [b]), [{ isNamed: false }])
  t.match(await store.findObjects('trees-other', [other]), [{ isNamed: true }])
  t.ok(await store.findArtifact('trees', digestFromHex(a)), 'its row stays, for who sends it again')
}

async function racesHold(t: Test, store: Store): Promise<void> {
  const digests = Array.from({ length: 300 }, () => someHex(32))
  const root = digests[0] ?? ''
  const objects = digests.map((digest, at) => ({ ...object(digest, at), kind: 'object' as const }))
  await store.addObjects('trees', randomUUID(), objects)
  const outcomes = await Promise.allSettled([
    store.addTree(treeOf('trees', root), digests),
    store.addTree(treeOf('trees', root), digests.toReversed()),
    store.addObjects('trees', randomUUID(), objects.toReversed()),
    store.renewObjects('trees', digests),
    store.collectObjects(0),
  ])
  const named = outcomes.slice(0, 2).filter(({ status }) => status === 'fulfilled').length
  const there = await store.findObjects('trees', digests)
  if (named > 0) t.ok(there.length === digests.length && there.every(({ isNamed }) => isNamed))
  else t.notOk(there.some(({ isNamed }) => isNamed))
  for (const one of outcomes.slice(2)) t.equal(one.status, 'fulfilled', JSON.stringify(one))
}
