// The folder that stands for a cluster, with real files and events.
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { annotations } from '@aether/contract/annotations'
import { formatPodinfo, parsePodinfo } from '@aether/contract/podinfo'
import { eventually, testFolder } from '@aether/runtime/test-process'
import { type Test, test } from 'tap'
import { createLocalCluster } from './local.ts'
import { localFilesOf } from './local-files.ts'

const ref = { namespace: 'default', app: 'hello' }
const spec = { ...ref, environment: 'dev', replicas: 1, devHot: true, port: 3000, readyPath: null, env: {} }
const one = { digest: 'sha256:1', artifactUrl: 'http://a/1', signature: 'ab', commit: 'c1' }
const two = { digest: 'sha256:2', artifactUrl: 'http://a/2', signature: null, commit: null }

async function createWorld(t: Test, folder = join(testFolder(t), 'targets')) {
  const tokens: string[] = []
  const changes: string[] = []
  const cluster = createLocalCluster({
    folder,
    intervalMs: 200,
    async setAgentToken(sha256, namespace, app) {
      tokens.push(`${namespace}/${app} ${sha256}`)
    },
  })
  await cluster.start(({ namespace, app }) => changes.push(`${namespace}/${app}`))
  t.teardown(() => cluster.stop())
  return { folder, cluster, tokens, changes, files: localFilesOf(folder, ref) }
}

await test('the file is the authority: control writes it, anybody may, and the view follows', async (t) => {
  const { folder, cluster, tokens, changes, files } = await createWorld(t)
  t.equal(cluster.fault(), null)
  t.equal(cluster.view(ref), undefined)
  await cluster.apply(spec, one)
  t.match(cluster.view(ref), {
    target: one,
    templateTarget: one,
    isRolledOut: true,
    pods: [{ uid: 'local:default/hello', isReady: true, isTerminating: false, target: one, fault: null }],
  })
  t.match(parsePodinfo(readFileSync(files.annotations, 'utf8')), { [annotations.digest]: one.digest })
  t.ok(changes.includes('default/hello'))

  t.comment('the token of its agents is for its owner alone, and stays the same')
  const token = readFileSync(files.token, 'utf8')
  t.equal(statSync(files.token).mode & 0o777, 0o600)
  const expected = `default/hello ${createHash('sha256').update(token).digest('hex')}`
  t.equal(tokens[0], expected)

  t.comment('what another program writes is seen, and an apply leaves it')
  const others = { [annotations.digest]: 'sha256:9', [annotations.artifactUrl]: 'http://a/9', 'team/owner': 'shop "a"' }
  writeFileSync(files.annotations, formatPodinfo(others))
  await eventually('the digest of another', () => cluster.view(ref)?.target.digest === 'sha256:9')
  await cluster.apply(spec, one)
  t.equal(cluster.view(ref)?.target.digest, 'sha256:9')
  t.equal(tokens[1], expected)

  t.comment('a target without signature takes the old one away, and nothing of others')
  await cluster.setTarget(ref, one, true)
  await cluster.setTarget(ref, two, false)
  t.same(parsePodinfo(readFileSync(files.annotations, 'utf8')), {
    'team/owner': 'shop "a"',
    [annotations.digest]: two.digest,
    [annotations.artifactUrl]: two.artifactUrl,
  })
  t.same(cluster.view(ref)?.target, two)

  t.comment('a second control on the same folder finds it there')
  const second = await createWorld(t, folder)
  t.same(second.cluster.view(ref)?.target, two)
  t.same(second.changes, ['default/hello'])

  t.comment('gone is gone, for both, twice')
  changes.length = 0
  await cluster.remove(ref)
  t.equal(cluster.view(ref), undefined)
  t.same(changes, ['default/hello'])
  t.notOk(existsSync(join(folder, 'default')))
  await cluster.remove(ref)
  await eventually('the end in the other', () => second.cluster.view(ref) === undefined)
  await t.rejects(cluster.setTarget(ref, one, true), { code: 'cluster_refused', message: /default\/hello/ })
  t.equal(await cluster.identify('any'), undefined)
})

await test('many writers of one app leave one whole target', async (t) => {
  const { cluster, files } = await createWorld(t)
  await cluster.apply(spec, one)
  await Promise.all(Array.from({ length: 20 }, (_, turn) => cluster.setTarget(ref, turn % 2 ? two : one, true)))
  t.same(cluster.view(ref)?.target, two)
  t.equal(parsePodinfo(readFileSync(files.annotations, 'utf8'))[annotations.digest], two.digest)
})

await test('what is no name of an app, or no file to be read, is an error that says so', async (t) => {
  const { folder, cluster, files } = await createWorld(t)
  for (const name of ['..', 'a/b', '', 'UPPER'])
    await t.rejects(cluster.apply({ ...spec, app: name }, one), {
      code: 'malformed',
      field: 'app',
      message: /DNS label/,
    })
  await cluster.apply(spec, one)
  writeFileSync(files.annotations, 'x'.repeat(600 * 1024))
  await eventually('the fault', () => /larger than/.test(cluster.fault() ?? ''))
  t.same(cluster.view(ref)?.target, one, 'the last that could be read')
  await t.rejects(cluster.setTarget(ref, two, true), { code: 'cluster_unavailable', message: /larger than/ })
  writeFileSync(files.annotations, formatPodinfo({ [annotations.digest]: 'sha256:3' }))
  await eventually('the new digest', () => cluster.view(ref)?.target.digest === 'sha256:3')
  await eventually('no fault', () => cluster.fault() === null)
  writeFileSync(join(folder, 'a-file'), '')
  await t.rejects(cluster.apply({ ...spec, namespace: 'a-file' }, one), { code: 'cluster_unavailable' })
})
