// Processes whose parent ended are reaped by tini, PID 1 of the app's container: no zombie is left.
import { deployHello } from './kit/deploy.ts'
import { readyPods, runInside } from './kit/pods.ts'
import { annotationsOf, packRelease } from './kit/releases.ts'
import { runScenario } from './kit/run-scenario.ts'
import { until } from './kit/until.ts'

const orphans = 30

// Each child starts a grandchild in a session of its own and ends before it.
const server = `import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
const grandchild = "setTimeout(() => {}, 300)"
const child = \`require('node:child_process').spawn(process.execPath, ['-e', '\${grandchild}'], { detached: true, stdio: 'ignore' }).unref()\`
let made = 0
let ended = 0
for (let n = 0; n < ${orphans}; n++)
  spawn(process.execPath, ['-e', child], { stdio: 'ignore' }).on('spawn', () => made++).on('exit', () => ended++)
createServer((request, response) => response.end(JSON.stringify({ made, ended }))).listen(process.env.PORT)
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
  })
  const [pod] = await readyPods(scenario, 1)
  if (pod === undefined) throw new Error('one pod was asked for')
  await until('all children to have ended', async () => {
    const { body } = await tools.ask({ host: pod.ip, port: 8080, path: '/' })
    return body === JSON.stringify({ made: orphans, ended: orphans }) ? true : undefined
  })
  // tini, supervisor, the app, and the one that looks.
  const left = await until('the grandchildren to be gone', async () => {
    const seen = await runInside(scenario, pod.name, 'app', states)
    return seen.length <= 4 ? seen : undefined
  })
  t.notMatch(left, 'Z', `no zombie among ${left}`)
  t.equal(left.length, 4)
})
