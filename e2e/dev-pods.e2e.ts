// `aether dev --pods` by a developer who has rights on pods and nothing else: no control, no artifact server. What becomes of saves,
// how long they take, and what is said where something lacks.
import { readdirSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { loadConfig } from './kit/config.ts'
import {
  createKubeconfig,
  createPodsDeveloper,
  deployForDeveloper,
  measureSaves,
  nextServing,
  startDev,
  untilAnswer,
} from './kit/developer.ts'
import { answersOf } from './kit/hello-app.ts'
import { listPods, nameOf, readyPods, runInside } from './kit/pods.ts'
import { runScenario } from './kit/run-scenario.ts'
import type { Scenario } from './kit/scenario.ts'
import { countOnDisk, listCommands } from './kit/soak.ts'
import { until } from './kit/until.ts'

const keepReleases = 3
const hello = fileURLToPath(new URL('../examples/hello', import.meta.url))

await runScenario('dev in pods alone', async (t, scenario) => {
  const { cluster, namespace } = scenario
  await deployForDeveloper(scenario)
  const developer = await createPodsDeveloper(scenario, hello)
  const server = join(developer.app, 'server.js')
  const source = await readFile(server, 'utf8')
  const save = (answer: string) => writeFile(server, source.replace('hello from ${version}', answer))

  const asked = startDev(developer, [])
  t.equal(await asked.ended, 2)
  t.match(asked.output(), /the context developer \(https:.*\) was never used with .*--context developer/, 'asks first')
  const strangers = { ...developer, env: { ...developer.env, KUBECONFIG: await createKubeconfig(scenario, 'nobody') } }
  const refused = startDev(strangers, ['--context', 'nobody'])
  t.equal(await refused.ended, 1)
  t.match(refused.output(), /you may not list pods, watch pods, patch pods, create pods\/exec in namespace/)
  t.match(refused.output(), /kind: Role\n.*aether-developer/, 'with the Role that gives it')
  const lost = startDev(developer, ['--context', 'developer', '--app', 'nothing'])
  t.equal(await lost.ended, 1)
  t.match(lost.output(), /there is no pod of nothing in namespace .* \(label app=nothing, context developer\)/)

  await save('one')
  const dev = startDev(developer, [])
  t.match(await dev.next(), { outcome: 'serving', error: null }, 'the context is known now')
  const first = await readyPods(scenario, 1)
  t.same(await answersOf(scenario, first), ['one'])
  t.match(dev.output(), new RegExp(`for hello in the pods of namespace ${namespace}, context developer\n`))
  await until("the app's own lines", async () => / hello 1\.0\.0 listens on 8080/.exec(dev.output()) ?? undefined)

  const [pod] = first
  if (pod === undefined) throw new Error('one pod was asked for')
  const saved = await measureSaves(t, scenario, { by: 'aether dev --pods', dev, pod, save })

  await writeFile(server, `${source} what is this`)
  t.match(await dev.next(), {
    outcome: 'failed',
    error: { code: 'unhealthy', message: /^SyntaxError: / },
    still_serving: [/^sha256:/],
  })
  t.same(await answersOf(scenario, first), [`save ${saved.length}`])
  await save('healed')
  t.match(await dev.next(), { outcome: 'serving' })

  await cluster.kubectl(['scale', '-n', namespace, 'deployment/hello', '--replicas=2'])
  const two = await readyPods(scenario, 2)
  t.same(await answersOf(scenario, two), ['healed', 'healed'], 'a pod that is born meanwhile gets it by itself')
  await save('both')
  t.match(await dev.next(), { outcome: 'serving' })
  t.same(await answersOf(scenario, two), ['both', 'both'])

  const other = { ...developer, env: { ...developer.env, XDG_STATE_HOME: join(scenario.folder, 'other-state') } }
  const second = startDev(other, ['--context', 'developer', '--no-logs'])
  t.equal(await second.ended, 40)
  t.match(second.output(), /another aether dev is at this pod/)

  await cluster.kubectl(['delete', 'pod', '-n', namespace, '--selector=app=hello', '--wait=false'])
  const again = await until('two other pods', async () => {
    const pods = await readyPods(scenario, 2)
    return pods.some(({ name }) => two.some((one) => one.name === name)) ? undefined : pods
  })
  t.same(await answersOf(scenario, again), ['both', 'both'], 'and so do those that come for deleted ones')

  await endKubectls(dev.pid)
  await save('after a break')
  t.match(await nextServing(dev), { outcome: 'serving' }, 'streams that break are opened again')
  t.same(await answersOf(scenario, again), ['after a break', 'after a break'])

  t.comment(
    'the machine sleeps: connections break, a pod is replaced, and a file is saved before the command runs again',
  )
  process.kill(dev.pid, 'SIGSTOP')
  await endKubectls(dev.pid)
  const [leaving] = again
  if (leaving === undefined) throw new Error('two pods were asked for')
  await cluster.kubectl(['delete', 'pod', '-n', namespace, leaving.name])
  await save('after a sleep')
  process.kill(dev.pid, 'SIGCONT')
  const awake = await readyPods(scenario, 2)
  for (const one of awake) await untilAnswer(one, 'after a sleep')

  t.comment('saves that do not wait for each other: the last one serves')
  const rhythms = [
    { name: 'each second', saves: loadConfig().latencyRefreshes, everyMs: 1000 },
    { name: 'burst', saves: 100, everyMs: 30 },
  ]
  for (const { name, saves, everyMs } of rhythms) {
    for (let count = 1; count <= saves; count += 1) {
      await save(`${name} ${count}`)
      await sleep(everyMs)
    }
    for (const one of awake) await untilAnswer(one, `${name} ${saves}`)
  }
  const answer = 'burst 100'

  dev.kill('SIGINT')
  t.equal(await dev.ended, 130)
  t.match(dev.output(), /end {8}hello in namespace .* goes on serving [0-9a-f]{12} until its pods are replaced/)
  for (const one of await listPods(scenario))
    await until('the end of the relay', async () =>
      (await countRelays(scenario, nameOf(one))) === 0 ? true : undefined,
    )
  t.same(await answersOf(scenario, awake), [answer, answer])
  for (const one of awake) {
    const disk = await countOnDisk(scenario, one)
    t.ok(Number(disk.releases) <= keepReleases, `${disk.releases} releases on disk`)
    t.match(disk, { records: disk.releases, staging: 0 }, 'a record for each, and nothing in staging')
    const apps = await until('one process of the app', async () => {
      const found = (await listCommands(scenario, one)).filter((command) => command.includes('server.js'))
      return found.length === 1 ? found : undefined
    })
    t.equal(apps.length, 1)
  }
})

/** As a network that drops, or an API server that restarts, would. */
async function endKubectls(parent: number): Promise<void> {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
    if (/^\d+ \(kubectl\) \S (\d+) /.exec(stat)?.[1] === String(parent)) process.kill(Number(pid), 'SIGKILL')
  }
}

async function countRelays(scenario: Scenario, pod: string): Promise<number> {
  const script = `
import { readdirSync, readFileSync } from 'node:fs'
const names = readdirSync('/proc').filter((name) => /^\\d+$/.test(name)).map((pid) => {
  try { return readFileSync('/proc/' + pid + '/cmdline', 'utf8') } catch { return '' }
})
console.log(names.filter((name) => name.includes('/aether/bin/' + 'relay')).length)`
  return Number(await runInside(scenario, pod, 'fetcher', script))
}
