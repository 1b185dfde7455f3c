// Each row of the judgement, from plain values: what is shown for real by the tests of the controller and on a cluster.
import { digestFromHex } from '@aether/contract/digest'
import { test } from 'tap'
import { appliedSeenMs, deadlineOf, type Evidence, judge, passingMs } from './judge.ts'
import type { Deployment, Report } from './model.ts'
import type { AppView, PodView } from './ports.ts'

const v1 = digestFromHex('1'.repeat(64))
const v2 = digestFromHex('2'.repeat(64))
const noon = new Date('2026-01-01T12:00:00Z')
const nothing = { digest: null, artifactUrl: null, signature: null, commit: null }

function after(seconds: number): Date {
  return new Date(noon.getTime() + seconds * 1000)
}

function deployment(change: Partial<Deployment> = {}): Deployment {
  return {
    id: 'one',
    version: 3,
    app: 'hello',
    namespace: 'default',
    environment: 'default',
    replicas: 2,
    devHot: true,
    port: 8080,
    readyPath: null,
    env: {},
    digest: v2,
    desiredStatus: 'active',
    currentStatus: 'syncing',
    failureReason: null,
    failureMessage: null,
    isApplied: true,
    isTargetWritten: true,
    createdAt: noon,
    updatedAt: noon,
    lastTransitionAt: noon,
    digestAt: noon,
    ...change,
  }
}

function pod(name: string, change: Partial<PodView> = {}): PodView {
  return { uid: `uid-${name}`, name, isReady: true, isTerminating: false, target: nothing, fault: null, ...change }
}

function view(pods: readonly PodView[], change: Partial<AppView> = {}): AppView {
  const ref = { namespace: 'default', app: 'hello' }
  return { ref, target: nothing, templateTarget: nothing, replicas: 2, isRolledOut: true, fault: null, pods, ...change }
}

function report(name: string, change: Partial<Report> = {}): Report {
  const said = { reason: null, detail: null, message: null, ms: 1, at: noon }
  return { podUid: `uid-${name}`, podName: name, digest: v2, outcome: 'ok', serving: v2, ...said, ...change }
}

/** Both pods serve. */
const usual: Evidence = {
  deployment: deployment(),
  view: view([pod('a'), pod('b')]),
  reports: [report('a'), report('b')],
  now: after(1),
  startedAt: noon,
  syncTimeoutMs: 120_000,
}

await test('a deployment is healthy when as many pods as wanted are ready and say that they serve the digest', (t) => {
  const cases: readonly (readonly [string, Partial<Evidence>, string, string | null])[] = [
    ['all well', {}, 'healthy', null],
    ['a pod too few', { view: view([pod('a')]) }, 'syncing', null],
    ['a pod too many, still going', { view: view([pod('a'), pod('b'), pod('c')]) }, 'syncing', null],
    [
      'one on its way out does not count',
      { view: view([pod('a'), pod('b'), pod('c', { isTerminating: true, isReady: false })]) },
      'healthy',
      null,
    ],
    ['not ready', { view: view([pod('a'), pod('b', { isReady: false })]) }, 'syncing', null],
    ['nothing said', { reports: [report('a')] }, 'syncing', null],
    ['serves another', { reports: [report('a'), report('b', { digest: v1, serving: v1 })] }, 'syncing', null],
    ['not rolled out', { view: view([pod('a'), pod('b')], { isRolledOut: false }) }, 'syncing', null],
    ['scaled to nothing', { view: view([], { replicas: 0 }), reports: [] }, 'healthy', null],
    ['not applied', { deployment: deployment({ isApplied: false }) }, 'syncing', null],
    ['never applied', { deployment: deployment({ isApplied: false, currentStatus: 'pending' }) }, 'pending', null],
  ]
  for (const [name, change, status, reason] of cases) t.match(judged(change), { status, reason }, name)
  t.end()
})

await test('a fault is said by its own reason, the newest target first', (t) => {
  const failing = { outcome: 'fail', serving: v1, reason: 'signature', message: 'does not hold' } as const
  const cases: readonly (readonly [string, Partial<Evidence>, string])[] = [
    ['a pod refused it', { reports: [report('a'), report('b', failing)] }, 'signature'],
    [
      'a pod cannot start',
      { view: view([pod('a'), pod('b', { isReady: false, fault: { reason: 'image_pull', message: 'not there' } })]) },
      'image_pull',
    ],
    [
      'the rollout stands still',
      { view: view([pod('a')], { fault: { reason: 'progress_deadline', message: 'stands still' } }) },
      'progress_deadline',
    ],
    ['gone', { view: undefined, now: after(appliedSeenMs / 1000) }, 'deployment_gone'],
  ]
  for (const [name, change, reason] of cases) t.match(judged(change), { status: 'failed', reason }, name)
  const old = { ...failing, digest: v1 }
  t.match(
    judged({ reports: [report('a'), report('b', { ...old, serving: null })] }),
    { status: 'syncing' },
    'what failed before the digest changed says nothing about this one',
  )
  t.match(judged({ view: undefined }), { status: 'syncing' }, 'what was just applied may not be seen yet')
  t.end()
})

await test('a failure that its fetcher overcomes by itself soon is waited for', (t) => {
  const unreachable = { outcome: 'fail', serving: v1, reason: 'download', detail: 'unreachable', at: after(1) } as const
  const withOne = (change: Partial<Report>) => ({ reports: [report('a'), report('b', { ...unreachable, ...change })] })
  t.match(judged({ ...withOne({}), now: after(2) }), { status: 'syncing' }, 'control may not be reached yet')
  t.match(judged({ ...withOne({}), now: after(passingMs / 1000) }), { status: 'failed', reason: 'download' })
  const isFailed = deployment({ currentStatus: 'failed', failureReason: 'download' })
  t.match(judged({ ...withOne({}), deployment: isFailed, now: after(2) }), { status: 'failed' }, 'and stays so')
  t.match(judged({ ...withOne({ detail: 'not_found' }), now: after(2) }), { status: 'failed' }, 'what is not there')
  const late = after(60 + passingMs / 1000 - 1)
  t.match(judged({ ...withOne({}), startedAt: after(60), now: late }), { status: 'syncing' }, 'control was away')
  const wasHealthy = deployment({ currentStatus: 'healthy' })
  t.match(judged({ ...withOne({}), deployment: wasHealthy, now: late }), { status: 'syncing' }, 'a pod has just come')
  const isSyncing = deployment({ lastTransitionAt: after(60) })
  t.match(judged({ ...withOne({}), deployment: isSyncing, now: late }), { status: 'syncing' }, 'since then')
  const isWritten = deployment({ updatedAt: after(60) })
  t.match(judged({ ...withOne({}), deployment: isWritten, now: late }), { status: 'syncing' }, 'just written')
  const over = after(60 + passingMs / 1000)
  for (const change of [{ startedAt: after(60) }, { deployment: isSyncing }, { deployment: isWritten }])
    t.match(judged({ ...withOne({}), ...change, now: over }), { status: 'failed', reason: 'download' })

  const asked = deployment({ digestAt: after(60), updatedAt: after(60) })
  const before = withOne({ detail: 'not_found', at: after(59) })
  t.match(judged({ ...before, deployment: asked, now: after(61) }), { status: 'syncing' }, 'asked for again since')
  const refused = withOne({ reason: 'signature', detail: 'invalid', at: after(59) })
  t.match(judged({ ...refused, deployment: asked, now: after(61) }), { status: 'failed' }, 'which nobody tries again')
  t.end()
})

await test('time runs out once, from the new digest or the last disturbance, whichever is later', (t) => {
  const oneServes = { reports: [report('a')] }
  t.match(judged({ ...oneServes, now: after(119) }), { status: 'syncing' })
  const out = judged({ ...oneServes, now: after(120) })
  t.match(out, { status: 'failed', reason: 'timeout', message: /b serves nothing yet/ })
  const timedOut = deployment({ currentStatus: 'failed', failureReason: 'timeout', lastTransitionAt: after(120) })
  t.match(judged({ ...oneServes, deployment: timedOut, now: after(121) }), { status: 'failed' }, 'and stays out')
  t.match(judged({ deployment: timedOut, now: after(200) }), { status: 'healthy' }, 'until all serve')
  const healthy = deployment({ currentStatus: 'healthy', lastTransitionAt: after(5) })
  t.match(judged({ ...oneServes, deployment: healthy, now: after(3600) }), { status: 'syncing' }, 'a pod was replaced')
  const later = after(60 + passingMs / 1000)
  const disturbed = deployment({ lastTransitionAt: after(60) })
  const deadline = (change: Partial<Evidence>) => deadlineOf({ ...usual, ...change })
  t.equal(deadline({ deployment: disturbed, now: later }), after(180).getTime())
  t.equal(deadline({ deployment: disturbed, now: after(61) }), later.getTime(), 'when a download that failed counts')
  t.equal(deadline({ startedAt: after(60), now: after(61) }), later.getTime(), 'and after a start of control')
  t.equal(deadline({ view: undefined }), after(appliedSeenMs / 1000).getTime())
  t.equal(deadline({ deployment: healthy }), undefined)
  t.end()
})

function judged(change: Partial<Evidence>) {
  return judge({ ...usual, ...change })
}
