// What the images are: which layers, which command, which settings.
import { join } from 'node:path'
import type { BundledCommand } from './bundle.ts'
import { agentEnvironment } from './bundles.ts'
import { type Component, npmComponent } from './components.ts'
import { writeLayer } from './layer.ts'
import { type Line, ownLine } from './node-lines.ts'
import type { Architecture, Image } from './oci.ts'
import type { Postgres } from './postgres.ts'
import { agentEntries, mountPoints, user } from './rootfs.ts'
import type { Part, SystemParts } from './system.ts'

/** An image for one architecture, with what of others is in it. */
export type Built = Image & { readonly components: readonly Component[]; readonly line: Line | undefined }

/** What is bundled, written as layers: the same for every architecture and line. */
export type OwnParts = { readonly agent: Part; readonly supervisor: Part; readonly control: Part }

type Bundle = { readonly folder: string; readonly commands: readonly BundledCommand[] }

export async function writeOwnLayers(agents: Bundle, control: Bundle, cache: string, epoch: number): Promise<OwnParts> {
  const write = async (name: string, { folder, commands }: Bundle, mounts: readonly string[]): Promise<Part> => {
    const files = commands.flatMap((command) => command.files)
    const entries = [...agentEntries(folder, files), ...mountPoints(...mounts)]
    const packages = commands.flatMap((command) => command.packages)
    return {
      layer: await writeLayer(entries, join(cache, `${name}.tar.gz`), epoch),
      components: packages.map((one) => npmComponent(one.name, one.version, one.license)),
    }
  }
  const supervisor = { ...agents, commands: agents.commands.filter(({ command }) => command === 'supervisor') }
  return {
    agent: await write('aether-agent', agents, ['var/lib/aether', 'run/aether']),
    supervisor: await write('aether-nodejs', supervisor, ['workspace', 'run/aether']),
    control: await write('aether-control', control, ['var/lib/aether-control']),
  }
}

/** What the images of a build have in common. */
export type Common = {
  readonly own: OwnParts
  /** Name of an image and tag to its whole name. */
  readonly reference: (name: string, line?: Line) => string
  readonly created: string
  readonly annotations: Readonly<Record<string, string>>
}

/** The images of an architecture, by the name of their files: those of the project's own line, and aether-nodejs of others. */
export async function recipesFor(
  architecture: Architecture,
  system: SystemParts,
  lines: readonly Line[],
  common: Common,
  postgres: Postgres | undefined,
): Promise<Map<string, Built>> {
  const { own } = common
  const node = await system.node(ownLine)
  const image = (name: string, description: string, parts: readonly Part[], line?: Line) => ({
    reference: common.reference(name, line),
    architecture,
    line,
    created: common.created,
    env: { PATH: '/aether/bin:/usr/local/bin' },
    user: `${user}:${user}`,
    entrypoint: [],
    command: [],
    workingDir: '/',
    annotations: {
      'org.opencontainers.image.title': name,
      'org.opencontainers.image.description': description,
      ...common.annotations,
    },
    layers: parts.map(({ layer }) => layer),
    components: parts.flatMap(({ components }) => components),
  })
  const nodejs = (parts: readonly Part[], line?: Line): Built => ({
    ...image('aether-nodejs', 'Runs a Node app under a supervisor that replaces its releases in place.', parts, line),
    entrypoint: ['/usr/local/bin/tini', '--', '/aether/bin/supervisor'],
    workingDir: '/workspace',
  })
  const all = new Map<string, Built>()
  all.set('aether-agent', {
    ...image('aether-agent', 'The agents beside an app: init-fetch, fetcher, relay and ed25519-verify.', [
      system.base,
      node,
      own.agent,
    ]),
    env: { PATH: '/aether/bin:/usr/local/bin', ...agentEnvironment },
    command: ['fetcher'],
  })
  all.set('aether-nodejs', nodejs([system.base, node, system.init, own.supervisor]))
  for (const line of lines)
    all.set(`aether-nodejs-${line}`, nodejs([system.base, await system.node(line), system.init, own.supervisor], line))
  all.set('aether-control', {
    ...image('aether-control', 'The control service: artifacts, keys and deployments. It wants DATABASE_URL.', [
      system.base,
      node,
      own.control,
    ]),
    entrypoint: ['/aether/bin/control'],
  })
  if (postgres !== undefined)
    all.set('aether-postgres', {
      ...image('aether-postgres', "Debian's PostgreSQL for tests: one database, small settings.", [postgres]),
      env: { PATH: `${postgres.bin}:/usr/local/bin:/bin` },
      entrypoint: ['/usr/local/bin/start-postgres'],
      // SIGTERM waits for every client to leave: https://www.postgresql.org/docs/15/server-shutdown.html
      stopSignal: 'SIGINT',
    })
  return all
}
