// For tests: what apps, keys, artifacts, reports and tokens promise, for each engine to hold.
import { inspect } from 'node:util'
import { roles } from '@aether/contract/control-api'
import type { Test } from 'tap'
import type { Store } from '../domain/ports.ts'
import { unsigned } from '../domain/signature.ts'
import { createEvent, errorOf, reportOf, someDigest, someHex, specOf } from './test-engines.ts'

/** The sentence, and what shows it. Each goes on with what those before it wrote. */
export type Call = readonly [string, (t: Test, store: Store) => Promise<void>]

export const calls: readonly Call[] = [
  ['an app is made once', appsHold],
  ['a key is added once, and another one under its id is refused', keysHold],
  ['an artifact is each app’s own, and keeps its row', artifactsHold],
  ['the configured tokens are those in force, and those of agents stand beside them', tokensHold],
]

/** After those of deployments, which count all there are. */
export const laterCalls: readonly Call[] = [
  ['each pod has its last report', reportsHold],
  ['what PostgreSQL cannot hold is refused, and the next call works', badInputIsRefused],
]

async function appsHold(t: Test, store: Store): Promise<void> {
  const { app, isNew } = await store.createApp('one')
  t.ok(isNew && Math.abs(app.createdAt.getTime() - Date.now()) < 3_600_000)
  t.strictSame(await store.createApp('one'), { app, isNew: false })
  t.strictSame(await store.findApp('one'), app)
  t.equal(await store.findApp('none'), undefined)
  await store.createApp('two')
}

async function keysHold(t: Test, store: Store): Promise<void> {
  const [id, key] = [someHex(8), someHex(32)]
  const added = await store.addKey({ app: 'one', id, key, comment: null, isDevelopment: false })
  t.match(added, { key: { app: 'one', id, key, comment: null, isDevelopment: false }, isNew: true })
  t.strictSame(await store.addKey({ app: 'one', id, key, comment: 'again', isDevelopment: true }), {
    ...added,
    isNew: false,
  })
  t.match(await errorOf(store.addKey({ app: 'one', id, key: someHex(32), comment: null, isDevelopment: false })), {
    code: 'conflict',
  })
  const other = await store.addKey({
    app: 'one',
    id: someHex(8),
    key: someHex(32),
    comment: "ada's",
    isDevelopment: true,
  })
  t.strictSame(await store.listKeys('one'), [added.key, other.key])
  t.strictSame(await store.listKeys('two'), [])
  t.match(await errorOf(store.addKey({ app: 'none', id, key, comment: null, isDevelopment: false })), {
    code: 'unknown_app',
  })
}

async function artifactsHold(t: Test, store: Store): Promise<void> {
  const [digest, keyId] = [someDigest(), someHex(8)]
  await store.addKey({ app: 'one', id: keyId, key: someHex(32), comment: null, isDevelopment: false })
  const plain = {
    app: 'one',
    digest,
    kind: 'archive' as const,
    bytes: 5_000_000_000,
    entries: null,
    ...unsigned,
    commit: 'abc',
    uploadedBy: 'ci',
  }
  const added = await store.addArtifact(plain)
  t.match(added, { artifact: plain, isNew: true })
  const signature = someHex(64)
  const signed = await store.addArtifact({ ...plain, signature, keyId, commit: 'other', uploadedBy: 'eve' })
  t.strictSame(signed, { artifact: { ...added.artifact, signature, keyId }, isNew: false })
  t.strictSame(await store.addArtifact(plain), signed, 'no signature takes none away')
  const development = { developmentSignature: `dev:${someHex(64)}`, developmentKeyId: keyId }
  const both = await store.addArtifact({ ...plain, ...development })
  t.strictSame(both, { artifact: { ...signed.artifact, ...development }, isNew: false }, 'one of either kind')
  t.strictSame(await store.addArtifact({ ...plain, signature, keyId }), signed, 'the one of a release is the newer one')
  t.strictSame(await store.findArtifact('one', digest), signed.artifact)
  t.equal(await store.findArtifact('two', digest), undefined)
  await store.addArtifact({ ...plain, app: 'two' })
  t.strictSame(await store.appsOf(digest), ['one', 'two'])
  t.strictSame(await store.appsOf(someDigest()), [])
  t.match(await errorOf(store.addArtifact({ ...plain, app: 'none' })), { code: 'unknown_app' })
  const foreign = { ...plain, app: 'two', digest: someDigest(), signature, keyId }
  t.match(await errorOf(store.addArtifact(foreign)), { code: 'not_found' }, 'the key is no key of that app')
}

async function reportsHold(t: Test, store: Store): Promise<void> {
  const { id } = await store.createDeployment(specOf('two', 'reports'), someDigest(), createEvent)
  const [a, b, c] = [reportOf('a'), reportOf('b'), reportOf('c')]
  for (const report of [c, a, b]) await store.putReport(id, report)
  const failed = {
    ...b,
    outcome: 'fail',
    serving: null,
    reason: 'checksum',
    detail: 'x',
    message: 'y\0',
    ms: null,
  } as const
  await store.putReport(id, failed)
  t.match(await store.listReports(id), [a, { ...failed, message: 'y' }, c])
  await store.dropReports(id, ['a', 'c', 'unknown'])
  t.match(await store.listReports(id), [{ podUid: 'b' }])
  await store.dropReports(id, [])
  t.match(await store.listReports(id), [{ podUid: 'b' }])
  t.match(await errorOf(store.putReport('none', a)), { code: 'not_found' })
}

async function tokensHold(t: Test, store: Store): Promise<void> {
  const tokens = roles.map((role) => ({ sha256: someHex(32), role, user: `user-${role}` }))
  const [admin, ...others] = tokens
  if (admin === undefined) throw new Error('there are roles')
  const known = () => Promise.all(tokens.map(({ sha256 }) => store.findToken(sha256)))
  const principals = tokens.map(({ role, user }) => ({ kind: 'user', user, role }))
  t.equal(await store.findToken(admin.sha256), undefined)
  await store.setTokens(tokens)
  t.strictSame(await known(), principals)
  const [mine, next] = [someHex(32), someHex(32)]
  await store.setAgentToken(mine, 'default', 'one')
  await store.setTokens(others)
  t.strictSame(await known(), [undefined, ...principals.slice(1)], 'the missing one is revoked')
  const agent = { kind: 'agent', app: 'one', namespace: 'default' }
  t.match(await store.findToken(mine), agent, 'those of agents are none of the configuration')
  await store.setTokens([{ ...admin, role: 'reader' }, ...others])
  t.match(await store.findToken(admin.sha256), { role: 'reader' }, 'it comes back, with another role')

  await store.setAgentToken(next, 'default', 'one')
  t.equal(await store.findToken(mine), undefined, 'one token for an app in a namespace')
  await store.setAgentToken(next, 'default', 'one')
  t.match(await store.findToken(next), agent)
  await store.setTokens([])
  t.strictSame(await known(), [undefined, undefined, undefined, undefined])
  t.match(await errorOf(store.setAgentToken(someHex(32), 'default', 'none')), { code: 'unknown_app' })
}

async function badInputIsRefused(t: Test, store: Store): Promise<void> {
  t.match(await errorOf(store.findApp('a\0b')), { code: 'malformed' })
  await store.createApp('plain')
  const spec = { ...specOf('plain'), env: { A: 'x\0' } }
  t.match(await errorOf(store.createDeployment(spec, someDigest(), createEvent)), { code: 'malformed' })
  t.match(await errorOf(store.createApp('Not A Name')), /applications_name_check/)
  const secret = { ...specOf('plain'), replicas: -1, env: { PASSWORD: 'geheim' } }
  const shown = inspect(await errorOf(store.createDeployment(secret, someDigest(), createEvent)))
  t.match(shown, 'deployments_replicas_check')
  t.notMatch(shown, 'geheim', 'the row is in no error')
  t.equal(await store.findLive('default', 'plain'), undefined)
  t.match(await store.createDeployment(specOf('plain'), someDigest(), createEvent), { version: 1 })
}
