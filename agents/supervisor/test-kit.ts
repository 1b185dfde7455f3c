// For tests: a workspace whose releases are small apps, and a supervisor over it.
import { execFileSync } from 'node:child_process'
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { formatActivation } from '@aether/contract/activation'
import { type Digest, digestFromHex } from '@aether/contract/digest'
import { currentLinkTarget, releaseName } from '@aether/contract/layout'
import { parseSupervisorState } from '@aether/contract/supervisor-state'
import { eventually, freePort, startProcess, testFolder } from '@aether/runtime/test-process'
import type { Test } from 'tap'
import { ask as askStrictly } from './test-client.ts'

const main = fileURLToPath(new URL('main.ts', import.meta.url))

/** Answers its version, folder and what it was given; SIGTERM is noted in the file `terms` of the run folder. */
export function appAnswering(version: string, more = ''): string {
  return `import { createServer } from 'node:http'
import { appendFileSync } from 'node:fs'
const { PORT, AETHER_DIGEST, AETHER_BUILD_COMMIT, NOTES } = process.env
process.on('SIGTERM', () => { appendFileSync(NOTES, 'term ${version} ' + Date.now() + '\\n'); process.exit(0) })
createServer((request, response) => {
  response.end(JSON.stringify({ version: '${version}', cwd: process.cwd(), AETHER_DIGEST, AETHER_BUILD_COMMIT, pid: process.pid }))
}).listen(PORT)
${more}`
}

export async function createWorkspace(t: Test, env: Readonly<Record<string, string>> = {}) {
  const root = testFolder(t, { workspace: { releases: {} }, run: {} })
  const workspace = join(root, 'workspace')
  const notes = join(root, 'notes')
  writeFileSync(notes, '')
  const [port, healthPort] = [await freePort(), await freePort()]
  let id = 0
  return {
    root,
    workspace,
    port,
    notes: () =>
      readFileSync(notes, 'utf8')
        .split('\n')
        .filter((line) => line !== ''),
    /** Puts a release there; its digest is the letter 64 times. */
    release(
      letter: string,
      server: string,
      manifest: object = { type: 'module' },
      files: Readonly<Record<string, string>> = {},
    ): Digest {
      const digest = digestFromHex(letter.repeat(64))
      const folder = join(workspace, 'releases', releaseName(digest))
      mkdirSync(folder)
      writeFileSync(join(folder, 'server.js'), server)
      writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
      for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text, { mode: 0o755 })
      return digest
    },
    /** As the fetcher does it: the record by rename, then the link by rename. */
    activate(digest: Digest, repaired = false): number {
      id++
      const record = { id, digest, previous: null, at: new Date().toISOString(), commit: `c${id}`, repaired }
      writeFileSync(join(workspace, 'activation.json.new'), formatActivation(record))
      renameSync(join(workspace, 'activation.json.new'), join(workspace, 'activation.json'))
      symlinkSync(currentLinkTarget(digest), join(workspace, `.current-${id}`))
      renameSync(join(workspace, `.current-${id}`), join(workspace, 'current'))
      return id
    },
    start() {
      return startProcess(t, main, {
        AETHER_WORKSPACE_DIR: workspace,
        AETHER_RUN_DIR: join(root, 'run'),
        AETHER_HEALTH_HOST: '127.0.0.1',
        AETHER_HEALTH_PORT: String(healthPort),
        AETHER_DRAIN_MAX_MS: '0',
        AETHER_SUPERVISOR_GRACE_SEC: '1',
        PORT: String(port),
        NOTES: notes,
        ...env,
      })
    },
    state: () => parseSupervisorState(readFileSync(join(root, 'run', 'supervisor.json'), 'utf8')),
    async ask(): Promise<Record<string, unknown>> {
      const body: unknown = await (await fetch(`http://127.0.0.1:${port}/`)).json()
      return typeof body === 'object' && body !== null ? { ...body } : {}
    },
    /** The same on a connection of its own. */
    async askFresh(): Promise<Record<string, unknown>> {
      const body: unknown = JSON.parse(await askStrictly(`http://127.0.0.1:${port}/`))
      return typeof body === 'object' && body !== null ? { ...body } : {}
    },
    readyz: async () => (await fetch(`http://127.0.0.1:${healthPort}/readyz`)).status,
    metrics: async () => (await fetch(`http://127.0.0.1:${healthPort}/metrics`)).text(),
    async verdict(wanted: number, outcome: 'ok' | 'fail') {
      await eventually(`${outcome} on activation ${wanted}`, () => {
        const { activation, outcome: said } = this.state()
        return activation === wanted && said === outcome
      }).catch((cause: unknown) => {
        throw new Error(`supervisor.json has ${JSON.stringify(this.state())}`, { cause })
      })
    },
  }
}

/** Ids of the processes whose folder is below `folder`. */
export function processesBelow(folder: string): readonly string[] {
  return readdirSync('/proc').filter((name) => {
    try {
      return /^\d+$/.test(name) && readlinkSync(`/proc/${name}/cwd`).startsWith(realpathSync(folder))
    } catch {
      return false
    }
  })
}

/** Options of a TLS server, as source text: a key and a certificate of its own, made in `folder`. */
export function certificate(folder: string): string {
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const kind = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost'
  execFileSync('openssl', [...kind.split(' '), '-keyout', key, '-out', cert], { stdio: 'ignore' })
  return `key: ${JSON.stringify(readFileSync(key, 'utf8'))}, cert: ${JSON.stringify(readFileSync(cert, 'utf8'))}`
}
