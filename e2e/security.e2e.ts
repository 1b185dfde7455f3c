// What each container cannot do, tried from inside, and what the service account may not, asked of the API server.
import type { Test } from 'tap'
import { deployHello } from './kit/deploy.ts'
import { type Pod, readyPods, runInside } from './kit/pods.ts'
import { annotationsOf, packRelease } from './kit/releases.ts'
import { runScenario } from './kit/run-scenario.ts'
import type { Scenario } from './kit/scenario.ts'

const credentials = '/var/run/secrets/kubernetes.io/serviceaccount'

await runScenario('security of the pod', async (t, scenario) => {
  const { folder, keys, tools } = scenario
  const release = await packRelease(folder, '1.0.0', keys)
  await tools.put(release.name, release.file)
  const annotations = annotationsOf(release, tools.url(release.name))
  await deployHello(scenario, { mode: 'watch', replicas: 1, annotations })
  const [pod] = await readyPods(scenario, 1)
  if (pod === undefined) throw new Error('one pod was asked for')

  for (const path of ['/workspace/x', '/workspace/current/server.js', '/workspace/activation.json', '/x', '/aether/x'])
    t.match(await writing(scenario, pod, 'app', path), /^(EROFS|EACCES)$/, `the app cannot write ${path}`)
  for (const path of ['/var/lib/aether/staging', '/workspace/../staging', '/workspace/staging', '/etc/aether/keys'])
    t.equal(await reading(scenario, pod, 'app', path), 'ENOENT', `the app cannot see ${path}`)
  t.equal(await reading(scenario, pod, 'app', credentials), 'ENOENT', 'the app holds no token')
  for (const path of ['/run/aether/x', '/run/aether/supervisor.json', '/etc/aether/keys/x', '/x', `${credentials}/x`])
    t.match(await writing(scenario, pod, 'fetcher', path), /^(EROFS|EACCES)$/, `the fetcher cannot write ${path}`)

  await identities(t, scenario, pod)
  await rights(t, scenario)
  t.match(await patchOwnPod(scenario, pod), /^403 /, "the fetcher's own token cannot change its own pod")
})

/** The code that opening the path for writing fails with; `written` where it does not. Nothing is changed. */
function writing(scenario: Scenario, pod: Pod, container: string, path: string): Promise<string> {
  return attempt(scenario, pod, container, `fs.closeSync(fs.openSync('${path}', 'a'))`, 'written')
}

function reading(scenario: Scenario, pod: Pod, container: string, path: string): Promise<string> {
  return attempt(scenario, pod, container, `fs.statSync('${path}')`, 'seen')
}

function attempt(scenario: Scenario, pod: Pod, container: string, code: string, otherwise: string): Promise<string> {
  const script = `try { ${code}; console.log('${otherwise}') } catch (error) { console.log(error.code) }`
  return runInside(scenario, pod.name, container, script)
}

/** As the kernel has it: user and group 65532, no capability, no way to new privileges, a seccomp filter. */
async function identities(t: Test, scenario: Scenario, pod: Pod): Promise<void> {
  for (const container of ['fetcher', 'app']) {
    const status = await runInside(
      scenario,
      pod.name,
      container,
      `console.log(fs.readFileSync('/proc/1/status', 'utf8'))`,
    )
    for (const line of [/^Uid:(\s+65532){4}$/m, /^Gid:(\s+65532){4}$/m, /^CapEff:\s+0+$/m, /^CapBnd:\s+0+$/m])
      t.match(status, line, `${container}: ${line.source}`)
    for (const line of [/^NoNewPrivs:\s+1$/m, /^Seccomp:\s+2$/m]) t.match(status, line, `${container}: ${line.source}`)
  }
}

async function rights(t: Test, { cluster, namespace }: Scenario): Promise<void> {
  const account = `--as=system:serviceaccount:${namespace}:aether-dev-hot`
  const may = async (verb: string, resource: string, subresource = '') => {
    const what = [verb, resource, `--subresource=${subresource}`]
    const said = await cluster.tryKubectl(['auth', 'can-i', ...what, '-n', namespace, account])
    return said.trim().split('\n').at(-1)
  }
  for (const verb of ['get', 'list', 'watch']) t.equal(await may(verb, 'pods'), 'yes', `may ${verb} pods`)
  for (const verb of ['patch', 'update', 'create', 'delete']) t.equal(await may(verb, 'pods'), 'no', `not ${verb} pods`)
  for (const resource of ['secrets', 'configmaps', 'deployments.apps', 'serviceaccounts', 'nodes'])
    t.equal(await may('get', resource), 'no', `not get ${resource}`)
  for (const [verb, resource, subresource] of [
    ['get', 'pods', 'log'],
    ['create', 'pods', 'exec'],
    ['create', 'pods', 'eviction'],
    ['patch', 'pods', 'status'],
    ['create', 'serviceaccounts', 'token'],
  ] as const)
    t.equal(await may(verb, resource, subresource), 'no', `not ${verb} ${resource}/${subresource}`)
}

/** With the token, from the place where it is mounted. */
function patchOwnPod(scenario: Scenario, pod: Pod): Promise<string> {
  const script = `
import { request } from 'node:https'
const read = (name) => fs.readFileSync('${credentials}/' + name, 'utf8').trim()
const sent = request({
  host: process.env.KUBERNETES_SERVICE_HOST,
  port: process.env.KUBERNETES_SERVICE_PORT,
  path: '/api/v1/namespaces/' + read('namespace') + '/pods/' + process.env.AETHER_POD_NAME,
  method: 'PATCH',
  ca: read('ca.crt'),
  agent: false,
  headers: { authorization: 'Bearer ' + read('token'), 'content-type': 'application/merge-patch+json' },
}, (response) => {
  console.log(response.statusCode, response.statusMessage)
  response.resume()
})
sent.end('{"metadata":{"annotations":{"aether.dev/digest":"sha256:taken-over"}}}')
`
  return runInside(scenario, pod.name, 'fetcher', script)
}
