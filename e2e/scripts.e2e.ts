// The scripts that a person runs by hand, run by hand: the latency harness, the signature cases, the kubectl plugin.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { hexOf } from '@aether/contract/digest'
import { execa } from 'execa'
import { annotatePods, deployHello } from './kit/deploy.ts'
import { readyPods } from './kit/pods.ts'
import { annotationsOf, packRelease, type Release } from './kit/releases.ts'
import { runScenario } from './kit/run-scenario.ts'

const scripts = fileURLToPath(new URL('../scripts', import.meta.url))

/** The signature script alone may take ten minutes, each of its waits at its longest. */
const limitMs = 900_000

await runScenario(
  'the scripts for people',
  async (t, scenario) => {
    const { folder, keys, namespace, tools } = scenario
    const releases = await Promise.all(['1.0.0', '2.0.0', '3.0.0'].map((version) => packRelease(folder, version, keys)))
    for (const release of releases) await tools.put(release.name, release.file)
    const [v1, v2, v3] = releases
    if (v1 === undefined || v2 === undefined || v3 === undefined) throw new Error('three releases were packed')
    const annotations = annotationsOf(v1, tools.url(v1.name))
    await deployHello(scenario, { mode: 'watch', replicas: 2, annotations, env: { AETHER_DRAIN_MAX_MS: '0' } })
    await readyPods(scenario, 2)
    const key = join(folder, 'key.pem')
    await writeFile(key, keys.privatePem, { mode: 0o600 })

    async function run(script: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
      const options = { reject: false, all: true, env: { AETHER_SIGNING_KEY: key, ...env } } as const
      const { exitCode, all } = await execa(join(scripts, script), [...args], options)
      t.comment(`${script} exits ${exitCode}\n${all}`)
      return { exitCode, all }
    }
    const harness = (release: Release, env?: Readonly<Record<string, string>>) =>
      run('dev-hot-e2e.sh', ['hello', tools.url(release.name), release.digest, namespace], env)

    const within = await harness(v2)
    t.equal(within.exitCode, 0, 'within the objective')
    t.equal(within.all.match(/ ms {2}REFRESH_OK app=hello /g)?.length, 2, 'a line for each pod')
    t.equal((await harness(v1, { SLO_MS: '1' })).exitCode, 10, 'over the objective')
    t.equal((await harness({ ...v3, name: 'none' }, { TIMEOUT_MS: '20000' })).exitCode, 20, 'no REFRESH_OK')
    t.equal((await run('dev-hot-e2e.sh', ['hello', 'ftp://x', v2.digest, namespace])).exitCode, 2, 'wrong usage')

    const refused = await run('kubectl-aether', ['-n', namespace])
    t.equal(refused.exitCode, 1, 'one does not serve what is asked for')
    const [wanted, served] = [hexOf(v3.digest).slice(0, 12), hexOf(v1.digest).slice(0, 12)]
    t.match(refused.all, new RegExp(`^hello-\\S+ +${wanted} +${served} +refused +\\d+ +download$`, 'm'))

    await annotatePods(scenario, annotations)
    const signatures = await run('dev-hot-signature-e2e.sh', ['hello', tools.url(v2.name), v2.digest, namespace])
    t.equal(signatures.exitCode, 0, 'each signature came out right')
    t.equal(signatures.all.match(/2 of 2 pods as expected/g)?.length, 6, 'six cases on both pods')

    await annotatePods(scenario, { 'aether.dev/build-time': 'last' })
    const serving = await run('kubectl-aether', ['-n', namespace, '-l', 'app=hello'])
    t.equal(serving.exitCode, 0)
    t.equal(serving.all.match(/ serving /g)?.length, 2)
  },
  limitMs,
)
