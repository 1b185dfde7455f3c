// `npm run images`: bundles what goes into the images and writes dist/images/<name>.tar, without an engine. README.md has
// the contract.
import { mkdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { type BundledCommand, bundleCommands, formatBundle } from './bundle.ts'
import { agentEnvironment, agents, control, root } from './bundles.ts'
import { type Layer, writeLayer } from './layer.ts'
import { detectMachine } from './machine.ts'
import { type Image, writeArchive } from './oci.ts'
import { type Options, parseOptions, usage } from './options.ts'
import { loadPostgres } from './postgres.ts'
import { agentEntries, mountPoints, user } from './rootfs.ts'
import { loadSystemLayers } from './system.ts'
import { formatTable } from './table.ts'

const progress = (line: string) => console.error(`images: ${line}`)
const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1)

async function buildImages(options: Options): Promise<void> {
  const { epoch, isRefresh } = options
  const dist = join(root, 'dist')
  const cache = join(dist, 'cache')
  const machine = detectMachine(process.platform, process.arch)

  progress('bundling the agents and control')
  const agentsFolder = join(dist, 'agents')
  const controlFolder = join(dist, 'control')
  const agentCommands = await bundleCommands(root, agents, agentsFolder)
  const controlCommands = await bundleCommands(root, control, controlFolder)
  console.error(formatBundle([...agentCommands, ...controlCommands]))

  const about = { root, cache, machine, epoch, isRefresh, progress }
  const system = await loadSystemLayers(about)
  const postgres = options.withE2e ? await loadPostgres(about) : undefined

  progress('writing the images')
  const bundled = (name: string, folder: string, commands: readonly BundledCommand[], mounts: readonly string[]) =>
    writeLayer(
      [
        ...agentEntries(
          folder,
          commands.flatMap(({ files }) => files),
        ),
        ...mountPoints(...mounts),
      ],
      join(cache, `${name}.tar.gz`),
      epoch,
    )
  const agentLayer = await bundled('aether-agent', agentsFolder, agentCommands, ['var/lib/aether', 'run/aether'])
  const supervisor = agentCommands.filter(({ command }) => command === 'supervisor')
  const supervisorLayer = await bundled('aether-nodejs', agentsFolder, supervisor, ['workspace', 'run/aether'])
  const controlLayer = await bundled('aether-control', controlFolder, controlCommands, ['var/lib/aether-control'])

  const { version, license }: { version: string; license: string } = JSON.parse(
    await readFile(join(root, 'package.json'), 'utf8'),
  )
  const image = (name: string, description: string) => ({
    reference: `${options.repository}/${name}:${options.tag}`,
    architecture: machine.architecture,
    env: { PATH: '/aether/bin:/usr/local/bin' },
    user: `${user}:${user}`,
    entrypoint: [],
    command: [],
    workingDir: '/',
    labels: {
      'org.opencontainers.image.title': name,
      'org.opencontainers.image.description': description,
      'org.opencontainers.image.version': version,
      'org.opencontainers.image.licenses': license,
    },
  })
  const all: Record<string, Image> = {
    'aether-agent': {
      ...image('aether-agent', 'The agents beside an app: init-fetch, fetcher and ed25519-verify.'),
      env: { PATH: '/aether/bin:/usr/local/bin', ...agentEnvironment },
      command: ['fetcher'],
      layers: [system.base, agentLayer],
    },
    'aether-nodejs': {
      ...image('aether-nodejs', 'Runs a Node app under a supervisor that replaces its releases in place.'),
      entrypoint: ['/usr/local/bin/tini', '--', '/aether/bin/supervisor'],
      workingDir: '/workspace',
      layers: [system.base, system.init, supervisorLayer],
    },
    'aether-control': {
      ...image('aether-control', 'The control service: artifacts, keys and deployments. It wants DATABASE_URL.'),
      entrypoint: ['/aether/bin/control'],
      layers: [system.base, controlLayer],
    },
  }
  if (postgres !== undefined)
    all['aether-postgres'] = {
      ...image('aether-postgres', "Debian's PostgreSQL for tests: one database, small settings."),
      env: { PATH: `${postgres.bin}:/usr/local/bin:/bin` },
      entrypoint: ['/usr/local/bin/start-postgres'],
      // SIGTERM waits for every client to leave: https://www.postgresql.org/docs/15/server-shutdown.html
      stopSignal: 'SIGINT',
      layers: [postgres.layer],
    }
  await writeImages(all, join(dist, 'images'), options)
}

async function writeImages(all: Readonly<Record<string, Image>>, folder: string, { epoch, isJson }: Options) {
  await mkdir(folder, { recursive: true })
  const written = []
  for (const [name, recipe] of Object.entries(all)) {
    const row = await writeArchive(recipe, join(folder, `${name}.tar`), epoch)
    written.push({ ...row, ownBytes: ownBytes(recipe.layers), file: relative(root, row.file) })
  }
  if (isJson) {
    console.log(JSON.stringify(written))
    return
  }
  const rows = written.map((row) => [
    row.reference,
    row.digest.slice(0, 'sha256:'.length + 12),
    megabytes(row.unpackedBytes),
    megabytes(row.bytes),
    megabytes(row.ownBytes),
    row.file,
  ])
  console.log(formatTable(['image', 'digest', 'unpacked MB', 'gzip MB', 'last layer', 'file'], rows))
}

/** What a new build of an image costs a node that has the one before: its last layer, packed. */
const ownBytes = (layers: readonly Layer[]) => layers.at(-1)?.bytes ?? 0

try {
  const options = parseOptions(process.argv.slice(2), process.env['SOURCE_DATE_EPOCH'])
  if (options === undefined) console.log(usage)
  else await buildImages(options)
} catch (error) {
  console.error(`images: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
