// Processes whose parent ended are reaped by tini, PID 1 of the app's container: no zombie is left.
import { deployHello } from './kit/deploy.ts'
import { readyPods, runInside } from './kit/pods.ts'
import { annotationsOf, packRelease } from './kit/releases.ts'
import { runScenario } from './kit/run-scenario.ts'
import { until } from './kit/until.ts'

const orphans = 30

// Each child starts a grandchild in a session of its own and ends before it; one after the other, because the container's
// memory has room for a few processes.
const server = `import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
const grandchild = "setTimeout(() => {}, 100)"
const child = \`require('node:child_process').spawn(process.execPath, ['-e', '\${grandchild}'], { detached: true, stdio: 'ignore' }).unref()\`
let ended = 0
createServer((request, response) => response.end(String(ended))).listen(process.env.PORT)
for (; ended < ${orphans}; ended++) await once(spawn(process.execPath, ['-e', child], { stdio: 'ignore' }), 'exit')
`

/** Prints the state letter of every process of the container, from /proc/[pid]/stat (proc(5)). */
const states = `const read = (pid) => { try { return fs.readFileSync('/proc/' + pid + '/stat', 'utf8') } catch { return '' } }
const pids = fs.readdirSync('/proc').filter((name) => /^\\d+$/.test(name))
console.log(pids.map((pid) => read(pid).split(') ').at(-1)?.[0] ?? '').join(''))`

await runScenario('orphans of the app', async (t, scenario) => {
  const { folder, keys, tools } = scenario
  const release = await packRelease(folder, '1.0.0', keys, server)
  await tools.put(release.name, release.file)
  await deployHello(scenario, {
    mode: 'file',
    replicas: 1,
    annotations: annotationsOf(release, tools.url(release.name)),
    env: { AETHER_SPARE_MAX_MB: '0' },
  })
  const [pod] = await readyPods(scenario, 1)
  if (pod === undefined) throw new Error('one pod was asked for')
  await until('all children to have ended', async () => {
    const { body } = await tools.ask({ host: pod.ip, port: 8080, path: '/' })
    return body === String(orphans) ? true : undefined
  })
  // tini, supervisor, the app, and the one that looks.
  const left = await until('the grandchildren to be gone', async () => {
    const seen = await runInside(scenario, pod.name, 'app', states)
    return seen.length <= 4 ? seen : undefined
  })
  t.notMatch(left, 'Z', `no zombie among ${left}`)
  t.equal(left.length, 4)
})
