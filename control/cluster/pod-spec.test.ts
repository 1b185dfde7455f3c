// What control makes is what k8s/base says, and what a pod's status says of it.
import { readFileSync } from 'node:fs'
import { isObject } from '@aether/contract/json'
import { loadYaml } from '@kubernetes/client-node'
import { test } from 'tap'
import { companionsOf, deploymentOf } from './app-objects.ts'
import { at, textAt } from './json-path.ts'
import { podFault } from './pod-fault.ts'
import { type PodOptions, podSpec } from './pod-spec.ts'

const options: PodOptions = {
  agentImage: 'aether.local/aether-agent:dev',
  nodejsImage: 'aether.local/aether-nodejs:dev',
  controlUrl: 'http://aether-control',
  fetchMode: 'watch',
  keysSecret: 'aether-keys',
  developmentEnvironments: new Set(['development']),
}
const spec = {
  app: 'hello',
  namespace: 'shop',
  environment: 'test',
  replicas: 2,
  devHot: true,
  port: 8080,
  readyPath: '/healthz',
  env: {},
}
const names = (list: readonly { readonly name: string }[] | undefined) => (list ?? []).map(({ name }) => name)

await test('the pod is that of k8s/base, with what control needs and nothing else beside it', async (t) => {
  const file = new URL('../../k8s/base/deployment.yaml', import.meta.url)
  // kubectl reads YAML 1.1, in which 0440 is octal; this reader 1.2, in which 0o440 is.
  const text = readFileSync(file, 'utf8').replaceAll(/: 0([0-7]{3})$/gm, ': 0o$1')
  const base: unknown = loadYaml(text)
  const expected = at(base, 'spec', 'template', 'spec')
  const made = podSpec(spec, options)
  if (!isObject(expected)) throw new Error('k8s/base has no pod')
  t.same(plain(made), plain({ ...expected, serviceAccountName: 'hello' }))
})

/** Without what control adds and what the API server fills in; in one order, each field a line of its own. */
function plain(pod: unknown): readonly string[] {
  const added = /control-token|"AETHER_CONTROL_|"PORT"|"protocol"/
  return linesOf(pod, '')
    .filter((line) => !added.test(line))
    .toSorted()
}

/** The name of an element of a list stands for its place, but init containers keep theirs. */
function linesOf(value: unknown, path: string): readonly string[] {
  if (Array.isArray(value))
    return value.flatMap((one: unknown, index) => {
      const place = path.endsWith('initContainers') ? String(index) : ''
      return linesOf(
        one,
        `${path}[${place}${JSON.stringify(textAt(one, 'name') ?? textAt(one, 'mountPath') ?? index)}]`,
      )
    })
  if (!isObject(value)) return [`${path} = ${JSON.stringify(value)}`]
  return Object.entries(value).flatMap(([name, one]) =>
    one === undefined ? [] : linesOf(one, `${path}.${JSON.stringify(name)}`),
  )
}

await test('where the environment is one of development, and nowhere else, agents take its signatures and do not pause', (t) => {
  const own = (environment: string) =>
    podSpec({ ...spec, environment }, options).initContainers?.map(({ env = [] }) =>
      env.filter(({ name }) => /DEVELOPMENT|INTERVAL/.test(name)).map(({ name, value }) => `${name}=${value}`),
    )
  const signatures = 'AETHER_DEVELOPMENT_SIGNATURES=true'
  t.same(own('development'), [[signatures], [signatures, 'AETHER_MIN_REFRESH_INTERVAL_MS=0']])
  t.same(own('production'), [[], []])
  t.end()
})

await test("the agents alone hold control's token; in mode file nobody holds the API server's", async (t) => {
  const pod = podSpec({ ...spec, env: { PORT: '1', AETHER_APP: 'other', A: 'b' } }, { ...options, fetchMode: 'file' })
  const [initFetch, fetcher] = pod.initContainers ?? []
  t.ok(names(initFetch?.volumeMounts).includes('control-token'))
  t.ok(names(fetcher?.volumeMounts).includes('control-token'))
  t.same(names(pod.containers[0]?.volumeMounts), ['releases', 'run', 'tmp'])
  t.notOk(names(pod.volumes).includes('api-token'))
  t.match(fetcher?.env?.at(-1), { name: 'AETHER_FETCH_MODE', value: 'file' })
  t.same(
    pod.containers[0]?.env?.toSorted((a, b) => a.name.localeCompare(b.name)),
    [
      { name: 'A', value: 'b' },
      { name: 'AETHER_APP', value: 'hello' },
      { name: 'AETHER_READY_PATH', value: '/healthz' },
      { name: 'PORT', value: '8080' },
    ],
  )
  const kinds = (fetchMode: 'watch' | 'file') =>
    companionsOf(spec, { ...options, fetchMode }).map(({ resource }) => resource)
  t.same(kinds('watch'), ['serviceAccounts', 'roleBindings', 'services'])
  t.same(kinds('file'), ['serviceAccounts', 'services'])
  t.same(deploymentOf(spec, options, false).spec.template.metadata.annotations, { 'aether.dev/dev-hot': 'true' })
})

await test('says what stands in the way of a pod, the first thing first', (t) => {
  const waiting = (reason: string, message?: string) => ({ waiting: { reason, message } })
  const ended = (exitCode: number, message?: string) => ({ terminated: { exitCode, reason: 'Error', message } })
  const left = JSON.stringify({ reason: 'checksum', message: 'other bytes came' })
  const init = (state: object, lastState: object = {}) => ({
    initContainerStatuses: [{ name: 'init-fetch', state, lastState, restartCount: 3 }],
  })
  const app = (state: object, restartCount: number, lastState: object = {}) => ({
    containerStatuses: [{ name: 'app', state, lastState, restartCount }],
  })
  const cases: readonly (readonly [string, object, object | null])[] = [
    ['nothing', app({ running: {} }, 4, ended(1)), null],
    ['what init-fetch left', init(ended(14, left)), { reason: 'checksum', message: 'other bytes came' }],
    ['the same between its tries', init(waiting('CrashLoopBackOff'), ended(14, left)), { reason: 'checksum' }],
    ['nothing while it tries again', init({ running: {} }, ended(14, left)), null],
    ['its exit code where it left no words', init(ended(13)), { reason: 'download', message: /exit code 13/ }],
    ['a reason that is none of ours', init(ended(137, '{"reason":"x"}')), { reason: 'internal', message: /"x"/ }],
    ['an end in order', init(ended(0)), null],
    [
      'an image',
      app(waiting('ImagePullBackOff', 'no such image'), 0),
      { reason: 'image_pull', message: /app: no such/ },
    ],
    ['a Secret that is not there', app(waiting('CreateContainerConfigError'), 0), { reason: 'container_refused' }],
    ['a loop', app(waiting('CrashLoopBackOff'), 2, ended(3)), { reason: 'crash_loop', message: /exit code 3/ }],
    ['a second end', app(ended(3), 1), { reason: 'crash_loop' }],
    ['a first end', app(ended(3), 0), null],
  ]
  for (const [what, status, fault] of cases)
    if (fault === null) t.equal(podFault({ status }), null, what)
    else t.match(podFault({ status }), fault, what)
  t.end()
})
