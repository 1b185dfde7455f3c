// The images of this clone in a registry on this machine, sent there by the command that people send them by.
import { randomInt } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isObject } from '@aether/contract/json'
import { execa, execaSync } from 'execa'
import type { Test } from 'tap'
import { openCluster } from './cluster.ts'
import { until } from './until.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const cache = join(root, 'dist/cache')

/** Why images cannot be pushed to here and pulled by the cluster's node; undefined where they can. */
export async function whyNoRegistry(): Promise<string | undefined> {
  if (execaSync('docker-registry', ['--version'], { reject: false }).exitCode !== 0)
    return 'docker-registry is not on PATH: apt-get install docker-registry'
  if (!existsSync(cache)) return 'dist/cache is not there: npm run images'
  const { items } = await openCluster().core.listNode()
  const own = Object.values(networkInterfaces()).flatMap((list) => list?.map(({ address }) => address) ?? [])
  const isHere = items.every(({ status }) => status?.addresses?.some(({ address }) => own.includes(address)))
  return isHere ? undefined : 'the nodes are other machines, which see no registry on the loopback of this one'
}

/** The names of the pushed images, and the digests that they were pushed under. */
export async function pushImages(t: Test): Promise<ReadonlyMap<string, string>> {
  // A folder of its own, so that dist/images stays what it is; what was downloaded is taken from there.
  const out = await mkdtemp(join(tmpdir(), 'aether-pushed-'))
  t.teardown(() => rm(out, { recursive: true }))
  await symlink(cache, join(out, 'cache'))
  const host = await startRegistry(t, out)
  const args = ['images/main.ts', '--push', host, '--tag', 'pulled', '--out', out, '--json']
  const { stdout } = await execa(process.execPath, args, { cwd: root })
  const said: unknown = JSON.parse(stdout)
  const pushed: readonly unknown[] = isObject(said) && Array.isArray(said.pushed) ? said.pushed : []
  return new Map(pushed.filter(isObject).map((one) => [String(one.reference), String(one.digest)]))
}

/** Debian's, on a port that nothing listens on; container runtimes speak HTTP to a registry on loopback. */
async function startRegistry(t: Test, folder: string): Promise<string> {
  // Below the ports that the kernel gives to clients.
  const host = `127.0.0.1:${randomInt(14_000, 30_000)}`
  const config = {
    version: '0.1',
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(folder, 'registry') } },
    http: { addr: host },
  }
  await writeFile(join(folder, 'registry.yml'), JSON.stringify(config)) // JSON is YAML
  const server = execa('docker-registry', ['serve', join(folder, 'registry.yml')], { reject: false })
  t.teardown(async () => {
    server.kill('SIGKILL')
    await server
  })
  await until('an answer of the registry', async () => (await fetch(`http://${host}/v2/`)).ok || undefined, 20_000)
  return host
}
