// A new pod whose target is bad never starts its app, and says why in the place where Kubernetes shows it.
import { createSigningPair, signDigest } from '@aether/artifact/sign'
import { annotations } from '@aether/contract/annotations'
import { type Reason, reasons } from '@aether/contract/reasons'
import type { V1ContainerState } from '@kubernetes/client-node'
import type { Test } from 'tap'
import { deployHello } from './kit/deploy.ts'
import { awaitLine, listPods, nameOf, readyPods } from './kit/pods.ts'
import { annotationsOf, packRelease } from './kit/releases.ts'
import { runScenario } from './kit/run-scenario.ts'
import type { Scenario } from './kit/scenario.ts'
import { until } from './kit/until.ts'

const caseAnnotation = 'e2e.aether.dev/case'

await runScenario('init-fetch fails', async (t, scenario) => {
  const { folder, keys, tools } = scenario
  const release = await packRelease(folder, '1.0.0', keys)
  await tools.put(release.name, release.file)
  const good = annotationsOf(release, tools.url(release.name))
  const other = await packRelease(folder, '2.0.0', keys)
  await tools.put('cut.tar.gz', release.file)
  await tools.setFault('cut.tar.gz', { truncateAt: 100 })

  const forged = signDigest(release.digest, createSigningPair().privateKey)
  await failsWith(t, scenario, 'signature', 'forged', { ...good, [annotations.signature]: forged })
  await failsWith(t, scenario, 'checksum', 'other-bytes', annotationsOf(other, tools.url(release.name)))
  await failsWith(t, scenario, 'download', 'not-found', annotationsOf(release, tools.url('nothing-here.tar.gz')))
  await failsWith(t, scenario, 'download', 'cut-off', annotationsOf(release, tools.url('cut.tar.gz')))
  await failsWith(t, scenario, 'target', 'no-digest', { ...good, [annotations.digest]: 'latest' })

  await deployHello(scenario, { mode: 'watch', replicas: 1, annotations: { ...good, [caseAnnotation]: 'mended' } })
  const [pod] = await readyPods(scenario, 1)
  const answer = await tools.ask({ host: pod?.ip ?? '', port: 8080, path: '/' })
  t.equal(answer.body.trim(), release.answer, 'with its annotations mended the app starts')
})

async function failsWith(
  t: Test,
  scenario: Scenario,
  reason: Reason,
  name: string,
  bad: Readonly<Record<string, string>>,
): Promise<void> {
  await deployHello(scenario, { mode: 'watch', replicas: 1, annotations: { ...bad, [caseAnnotation]: name } })
  const { pod, exitCode, message } = await until(`the end of init-fetch in case ${name}`, async () => {
    const all = await listPods(scenario)
    const found = all.find((one) => one.metadata?.annotations?.[caseAnnotation] === name)
    const status = found?.status?.initContainerStatuses?.find((one) => one.name === 'init-fetch')
    const ended = endOf(status?.state) ?? endOf(status?.lastState)
    return found === undefined || ended === undefined ? undefined : { pod: found, ...ended }
  })
  t.equal(exitCode, reasons[reason].exitCode, `${name}: the exit code of ${reason}`)
  const said: unknown = JSON.parse(message)
  t.match(said, { reason, message: String }, `${name}: the termination message names ${reason}`)
  t.comment(`${name}: ${message}`)
  const marker = `REFRESH_FAIL app=hello reason=${reason} `
  t.ok(
    await awaitLine(scenario, nameOf(pod), 'init-fetch', marker, (line) => line.startsWith(marker)),
    `${name}: REFRESH_FAIL in the log`,
  )
  const app = pod.status?.containerStatuses?.find((one) => one.name === 'app')
  t.match(app, { started: false, restartCount: 0, containerID: undefined }, `${name}: the app never started`)
}

function endOf(state: V1ContainerState | undefined) {
  const ended = state?.terminated
  return ended === undefined ? undefined : { exitCode: ended.exitCode, message: ended.message ?? '' }
}
