// For tests: what is retired and removed of what was uploaded, for each engine to hold.
import { randomUUID } from 'node:crypto'
import { type Digest, hexOf } from '@aether/contract/digest'
import type { Test } from 'tap'
import type { Store } from '../domain/ports.ts'
import { unsigned } from '../domain/signature.ts'
import type { Call } from './test-calls.ts'
import { createEvent, errorOf, reportOf, someDigest, specOf } from './test-engines.ts'

export const retirementCalls: readonly Call[] = [
  ['what a deployment uses is not retired, whatever it is by, until that is stopped', usedHolds],
  ['what is retired is an artifact to nobody but pods, and what was sent last stays', retiredHolds],
  ['a removal takes rows and names together, or nothing where one came back', removalHolds],
]

const app = 'retired'

async function add(store: Store, kind: 'archive' | 'tree' = 'archive', digest = someDigest()): Promise<Digest> {
  const entries = kind === 'tree' ? 1 : null
  await store.addArtifact({ app, digest, kind, bytes: 1, entries, ...unsigned, commit: null, uploadedBy: 'ci' })
  return digest
}

async function there(store: Store, digests: readonly Digest[]): Promise<readonly boolean[]> {
  const found: boolean[] = []
  for (const digest of digests) found.push((await store.findArtifact(app, digest)) !== undefined)
  return found
}

async function usedHolds(t: Test, store: Store): Promise<void> {
  await store.createApp(app)
  const [asked, told, served, before, unused] = [
    await add(store),
    await add(store),
    await add(store),
    await add(store),
    await add(store),
  ]
  const all = [asked, told, served, before, unused]
  const event = { ...createEvent, action: 'rollout' as const, fromDigest: before, toDigest: asked }
  const made = await store.createDeployment(specOf(app), asked, event)
  await store.putReport(made.id, {
    ...reportOf('a'),
    outcome: 'fail',
    digest: told,
    serving: served,
    reason: 'unhealthy',
  })
  await store.retireArtifacts(app, 0, 3_600)
  t.strictSame(await there(store, all), [true, true, true, true, true], 'all are fresh')
  await store.retireArtifacts(app, 0, 0)
  t.strictSame(await there(store, all), [true, true, true, true, false])
  await store.changeDeployment(made.id, made.version, { desiredStatus: 'stopped' }, null)
  await store.retireArtifacts(app, 0, 0)
  t.strictSame(await there(store, all), [false, false, false, false, false])
  await store.retireArtifacts(app, null, 0)
  t.strictSame(await there(store, all), [true, true, true, true, true], 'none is to go any more')
  await store.retireArtifacts('one', 0, 0)
  t.strictSame(await there(store, all), [true, true, true, true, true], 'another app is another')
}

async function retiredHolds(t: Test, store: Store): Promise<void> {
  const [old, again, newest] = [await add(store), await add(store), await add(store)]
  await add(store, 'archive', again)
  await store.retireArtifacts(app, 2, 0)
  t.strictSame(await there(store, [old, again, newest]), [false, true, true], 'sent again counts')
  t.match(await store.findServed(app, old), { digest: old })
  t.strictSame(await store.appsOf(old), [])
  t.ok(await store.isElsewhere(old, 'one'))
  t.notOk(await store.isElsewhere(old, app))
  const { items } = await store.listArtifacts({ app }, { limit: 50, after: null })
  t.strictSame(
    items.map(({ digest }) => digest),
    [newest, again],
  )
  t.strictSame(await store.listRetired(app, 3_600), [])
  t.ok((await store.listRetired(app, 0)).some(({ digest }) => digest === old))
  await add(store, 'archive', old)
  t.strictSame(await there(store, [old]), [true])
  t.notOk((await store.listRetired(app, 0)).some(({ digest }) => digest === old))
}

async function removalHolds(t: Test, store: Store): Promise<void> {
  const [gone, kept] = [someDigest(), someDigest()]
  const pack = randomUUID()
  const objectOf = (digest: Digest, at: number) => ({ digest: hexOf(digest), kind: 'object' as const, at, bytes: 1 })
  await store.addObjects(app, pack, [objectOf(gone, 0), objectOf(kept, 1)])
  for (const digest of [gone, kept]) {
    const tree = {
      app,
      digest,
      kind: 'tree' as const,
      bytes: 1,
      entries: 1,
      ...unsigned,
      commit: null,
      uploadedBy: 'ci',
    }
    await store.addTree(tree, [hexOf(digest)])
  }
  t.strictSame((await store.listTrees(app)).toSorted(), [gone, kept].toSorted())
  t.strictSame((await store.listNamed(app)).toSorted(), [gone, kept].map(hexOf).toSorted())
  await store.retireArtifacts(app, 1, 0)
  const both = [hexOf(gone), hexOf(kept)]
  t.match(await errorOf(store.removeArtifacts(app, [gone, kept], both)), { code: 'changed_meanwhile' })
  t.ok(await store.findServed(app, gone), 'nothing of it is half done')
  t.equal((await store.listNamed(app)).length, 2)
  await store.removeArtifacts(app, [gone], [hexOf(gone)])
  t.equal(await store.findServed(app, gone), undefined)
  t.strictSame(await store.listNamed(app), [hexOf(kept)])
  t.match(
    await store.findObjects(app, [hexOf(gone)]),
    [{ isNamed: false }],
    'it goes when nobody asked for it for a while',
  )
  t.strictSame(await store.collectObjects(3_600), [])
}
