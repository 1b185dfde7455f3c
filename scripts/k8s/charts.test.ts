// The charts make what Kustomize makes of k8s/, so that there is one shape of a pod, however it is installed.
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execaSync } from 'execa'
import tap, { test } from 'tap'
import { at, isOnPath, type KubernetesObject, kustomize, listAt, manifests, parseObjects, podOf } from './objects.ts'

const isThere = isOnPath('helm', 'version') && isOnPath('kubectl', 'version', '--client')
const options = isThere ? {} : { skip: 'helm and kubectl are not on PATH' }
const digest = `sha256:${'a'.repeat(64)}`
const release = [
  `aether-app.release.digest=${digest}`,
  'aether-app.release.url=http://a.example/hello.tar.gz',
  'aether-app.release.signature=5e',
]

// The example takes the library into its folder; in a copy, so that none of it stays here. Links lead to real files there.
const charts = isThere ? mkdtempSync(join(tmpdir(), 'aether-charts-')) : ''
if (isThere) {
  cpSync(join(manifests, 'chart'), charts, { recursive: true, dereference: true })
  tap.teardown(() => rmSync(charts, { recursive: true }))
  execaSync('helm', ['dependency', 'update', '--skip-refresh', join(charts, 'hello')])
}

function helm(chart: string, set: readonly string[]) {
  // A number is a number to --set; variables are text.
  const settings = set.flatMap((one) => [/[eE]nv\./.test(one) ? '--set-string' : '--set', one])
  const args = ['template', chart, join(charts, chart), '--namespace', 'shop', '--kube-version', '1.34.0', ...settings]
  return execaSync('helm', args, { reject: false, all: true })
}

function render(chart: string, set: readonly string[] = []): readonly KubernetesObject[] {
  const { exitCode, stdout, all } = helm(chart, set)
  if (exitCode !== 0) throw new Error(all)
  return parseObjects(stdout)
}

await test('helm lint has nothing against any of them', options, (t) => {
  for (const chart of ['control', 'app', 'hello']) {
    const set = chart === 'hello' ? release.flatMap((one) => ['--set', one]) : []
    const { exitCode, all } = execaSync('helm', ['lint', '--strict', join(charts, chart), ...set], {
      reject: false,
      all: true,
    })
    t.equal(exitCode, 0, `${chart}: ${all}`)
  }
  t.end()
})

await test('the chart of control makes what k8s/control makes', options, (t) => {
  // They name the images of the pods, which Kustomize leaves to the defaults; and the role that the pods follow by.
  const isAdded = (line: string) => !/\[AETHER_(AGENT|NODEJS)_IMAGE\]/.test(line)
  const made = render('control')
  const [role, follow] = [
    made.filter(({ name }) => name !== 'aether-dev-hot'),
    made.filter(({ name }) => name === 'aether-dev-hot'),
  ]
  t.same(linesOf(role).filter(isAdded), linesOf(kustomize('control')))
  t.same(rulesOf(follow), rulesOf(kustomize('rbac')))
  t.same(
    linesOf(render('control', ['networkPolicy.enabled=true']).filter(({ kind }) => kind === 'NetworkPolicy')),
    linesOf(kustomize('overlays/control-production').filter(({ kind }) => kind === 'NetworkPolicy')),
  )
  const everywhere = render('control', ['allNamespaces=true'])
  t.same(rulesOf(everywhere, 'ClusterRole'), rulesOf(kustomize('overlays/control-all-namespaces'), 'ClusterRole'))
  t.same(
    everywhere.filter(({ kind, name }) => kind === 'Role' && name === 'aether-control'),
    [],
  )
  t.end()
})

await test('the chart of an app makes what k8s/base and its overlays make', options, (t) => {
  for (const [folder, set] of [
    ['base', []],
    ['overlays/no-token', ['aether-app.mode=file']],
    ['overlays/events', ['aether-app.events=true']],
    [
      'overlays/production',
      [
        'aether-app.replicas=3',
        'aether-app.spread=true',
        'aether-app.disruptionBudget=true',
        'aether-app.networkPolicy.enabled=true',
        'aether-app.agentEnv.AETHER_ARTIFACT_ORIGINS=https://fill-in.invalid',
        'aether-app.env.AETHER_SPLAY_MS=3000',
      ],
    ],
  ] as const)
    t.same(linesOf(render('hello', [...release, ...set])), linesOf(kustomize(folder)), folder)
  t.end()
})

await test('what is no value of theirs is refused, and what lacks is said', options, (t) => {
  for (const [chart, set, said] of [
    ['control', 'podFetchMode=poll', /podFetchMode/],
    ['control', 'envFrom=x', /envFrom/],
    ['hello', 'aether-app.mode=push', /mode/],
    ['hello', 'aether-app.release.digest=latest', /digest/],
    ['hello', 'aether-app.replica=2', /replica/],
    ['hello', 'aether-app.release.digest=', /release\.digest is not set/],
  ] as const) {
    const { exitCode, all } = helm(chart, [...(chart === 'hello' ? release : []), set])
    t.not(exitCode, 0, set)
    t.match(all, said, set)
  }
  t.end()
})

await test('an image for the sidecar alone (AETHER_FETCH_IMAGE) is put there and nowhere else', options, (t) => {
  const [deployment] = render('hello', [...release, 'aether-app.images.fetch=other']).filter((one) => podOf(one))
  const images = (deployment && podOf(deployment)?.containers)?.map((one) => [at(one, 'name'), at(one, 'image')])
  t.same(images, [
    ['init-fetch', 'aether.local/aether-agent:dev'],
    ['fetcher', 'other'],
    ['app', 'aether.local/aether-nodejs:dev'],
  ])
  const [control] = render('control', ['images.fetch=other']).filter((one) => podOf(one))
  const env = listAt(control && podOf(control)?.containers[0], 'env')
  t.ok(env.some((one) => at(one, 'name') === 'AETHER_FETCH_IMAGE' && at(one, 'value') === 'other'))
  t.end()
})

function rulesOf(objects: readonly KubernetesObject[], kind = 'Role'): readonly unknown[] {
  const ofKind = objects.filter((one) => one.kind === kind)
  return ofKind.map(({ whole }) => listAt(whole, 'rules')).toSorted((a, b) => b.length - a.length)
}

/** Each field of each object as a line, without labels for people, annotations and namespaces; names of accounts as one. */
function linesOf(objects: readonly KubernetesObject[]): readonly string[] {
  const isApart = /"metadata"\."(labels|annotations)"|\."namespace" = /
  const account =
    /(?<=name" = |serviceAccountName" = |subjects"\[)"?(hello-aether-\w+(-\w+)?|aether-dev-hot(-events)?|hello)"?/gi
  return objects
    .flatMap(({ kind, whole }) => fieldsOf(whole, kind))
    .filter((line) => !isApart.test(line))
    .map((line) => line.replace('-shop"', '"').replaceAll(account, 'APP'))
    .toSorted()
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function fieldsOf(value: unknown, path: string): readonly string[] {
  if (Array.isArray(value)) {
    const name = (one: unknown, index: number) => textOf(at(one, 'name') ?? at(one, 'mountPath')) ?? index
    return value.flatMap((one: unknown, index) => fieldsOf(one, `${path}[${name(one, index)}]`))
  }
  if (typeof value !== 'object' || value === null) return [`${path} = ${JSON.stringify(value)}`]
  return Object.entries(value).flatMap(([name, one]) => fieldsOf(one, `${path}."${name}"`))
}
