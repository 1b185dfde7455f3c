// An app as its developer has it: a copy of examples/hello that `aether deploy` brings to its pods, version after version,
// and what control says of its deployment.
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isObject } from '@aether/contract/json'
import type { CliResult, Control } from './control.ts'
import type { Pod } from './pods.ts'
import type { Release } from './releases.ts'
import type { Scenario } from './scenario.ts'
import { until } from './until.ts'

const hello = fileURLToPath(new URL('../../examples/hello', import.meta.url))

/** What is used here of what control answers. */
export interface DeploymentView {
  readonly id: string
  readonly digest: string
  readonly status: string
  readonly current_status: string
  readonly desired_status: string
  readonly failure_reason: string | null
  readonly failure_message: string | null
  readonly replicas: number
  readonly dev_hot: boolean
  readonly events: readonly DeploymentEvent[]
  readonly pods: readonly { readonly pod: string; readonly serving: string | null }[]
}

interface DeploymentEvent {
  readonly action: string
  readonly actor: string
  readonly from_digest: string | null
  readonly to_digest: string | null
  readonly status: string | null
  readonly reason: string | null
  readonly message: string | null
}

/** What `aether deploy --output json` says where it ends well. */
export interface Deployed {
  readonly deployment: string
  readonly digest: string
  readonly ms: { readonly pack: number; readonly upload: number; readonly deploy: number; readonly serving: number }
}

export interface HelloApp {
  readonly name: string
  /** Makes the folder that of another version; answers what its pods will. */
  edit(version: string): Promise<string>
  /** `aether deploy` in the folder. */
  tryDeploy(args?: readonly string[], env?: Readonly<Record<string, string>>): Promise<CliResult>
  /** The same, which has to end well; `wallMs` is the whole command. */
  deploy(args?: readonly string[]): Promise<Deployed & { readonly wallMs: number }>
  /** Gives control the artifact of a release, and deploys nothing. */
  upload(release: Release): Promise<void>
  /** By `aether status`. */
  view(): Promise<DeploymentView>
  awaitView(what: string, isWanted: (view: DeploymentView) => boolean): Promise<DeploymentView>
}

/** Registers the app with the scenario's key. */
export async function createHelloApp(scenario: Scenario, control: Control, name = 'hello'): Promise<HelloApp> {
  const folder = join(scenario.folder, `app-${name}`)
  await cp(hello, folder, { recursive: true })
  const key = join(scenario.folder, 'key.pub.pem')
  await writeFile(key, scenario.keys.publicPem)
  expectDone(await control.cli(['apps', 'create', name, '--key', key]))

  const tryDeploy: HelloApp['tryDeploy'] = (args = [], env = {}) =>
    control.cli(['deploy', folder, '--app', name, '--output', 'json', ...args], env)
  async function view(): Promise<DeploymentView> {
    const { deployment }: { deployment: DeploymentView } = JSON.parse(
      expectDone(await control.cli(['status', name, '--output', 'json'])).stdout,
    )
    return deployment
  }
  return {
    name,
    tryDeploy,
    view,
    async edit(version) {
      const path = join(folder, 'package.json')
      const manifest: unknown = JSON.parse(await readFile(path, 'utf8'))
      if (!isObject(manifest)) throw new Error(`${path} is no JSON object`)
      await writeFile(path, `${JSON.stringify({ ...manifest, name, version }, null, 2)}\n`)
      return `hello from ${version}`
    },
    async deploy(args) {
      const began = performance.now()
      const result = expectDone(await tryDeploy(args))
      const deployed: Deployed = JSON.parse(result.stdout)
      return { ...deployed, wallMs: Math.round(performance.now() - began) }
    },
    async upload({ file, digest, signature }) {
      const body = new Uint8Array(await readFile(file))
      const headers = {
        'content-type': 'application/gzip',
        'aether-app': name,
        'aether-digest': digest,
        'aether-signature': signature,
      }
      const response = await control.ask('/artifacts', { method: 'POST', body, headers })
      if (!response.ok) throw new Error(`the upload is answered ${response.status}: ${await response.text()}`)
    },
    async awaitView(what, isWanted) {
      const { id } = await view()
      return until(`${what}, of the deployment of ${name}`, async () => {
        const response = await control.ask(`/deployments/${id}`)
        const seen: DeploymentView = JSON.parse(await response.text())
        return response.ok && isWanted(seen) ? seen : undefined
      })
    },
  }
}

export function expectDone(result: CliResult): CliResult {
  if (result.exitCode === 0) return result
  throw new Error(`aether ended with exit code ${result.exitCode}: ${result.stdout} ${result.stderr}`)
}

/** What each pod answers at its own address. */
export function answersOf({ tools }: Scenario, pods: readonly Pod[]): Promise<readonly string[]> {
  return Promise.all(
    pods.map(async ({ ip: host }) => {
      const { status, body, error } = await tools.ask({ host, port: 8080, path: '/' })
      return status === 200 ? body.trim() : `${error ?? status}`
    }),
  )
}
