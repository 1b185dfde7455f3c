// `npm run images`: bundles the agents and writes dist/images/<name>.tar, without an engine. README.md has the contract.
import { mkdir, readFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { agentCommands, bundleCommands, formatBundle } from './bundle.ts'
import { writeLayer } from './layer.ts'
import { detectMachine } from './machine.ts'
import { type Image, writeArchive } from './oci.ts'
import { agentEntries, mountPoints, user } from './rootfs.ts'
import { loadSystemLayers } from './system.ts'
import { formatTable } from './table.ts'

const usage = `Usage: npm run images -- [options]
  --repository NAME  what the image names start with (aether.local)
  --tag TAG          their tag (dev)
  --refresh          download the Debian packages again, for their security updates
  --json             print the table as JSON
The environment variable SOURCE_DATE_EPOCH (seconds) is the time of everything inside; 0 without it.`

const progress = (line: string) => console.error(`images: ${line}`)
const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1)

type Options = {
  readonly repository: string
  readonly tag: string
  readonly isRefresh: boolean
  readonly isJson: boolean
  readonly epoch: number
}

function parseOptions(args: string[], sourceDateEpoch = '0'): Options | undefined {
  const { values } = parseArgs({
    args,
    options: {
      repository: { type: 'string', default: 'aether.local' },
      tag: { type: 'string', default: 'dev' },
      refresh: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  // The grammar of image names: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
  if (!/^[a-z0-9]+([._:/-]+[a-z0-9]+)*$/.test(values.repository))
    throw new Error(
      `--repository must be a host and a path in lower case, such as registry.example/team; it is "${values.repository}"`,
    )
  if (!/^\w[\w.-]{0,127}$/.test(values.tag))
    throw new Error(`--tag must be up to 128 letters, digits, "_", "." or "-"; it is "${values.tag}"`)
  if (!/^\d{1,11}$/.test(sourceDateEpoch))
    throw new Error(`SOURCE_DATE_EPOCH must be seconds since 1970; it is "${sourceDateEpoch}"`)
  return {
    repository: values.repository,
    tag: values.tag,
    isRefresh: values.refresh,
    isJson: values.json,
    epoch: Number(sourceDateEpoch),
  }
}

async function buildImages(root: string, options: Options): Promise<void> {
  const dist = join(root, 'dist')
  const machine = detectMachine(process.platform, process.arch)

  progress('bundling the agents')
  const bundle = join(dist, 'agents')
  const commands = await bundleCommands(root, agentCommands, bundle)
  console.error(formatBundle(commands))

  const { epoch, isRefresh } = options
  const system = await loadSystemLayers({ root, cache: join(dist, 'cache'), machine, epoch, isRefresh, progress })

  progress('writing the images')
  const images = join(dist, 'images')
  await mkdir(images, { recursive: true })
  const layers = join(dist, 'cache')
  const filesOf = (...names: string[]) =>
    commands.filter(({ command }) => names.length === 0 || names.includes(command)).flatMap(({ files }) => files)
  const agents = await writeLayer(
    [...agentEntries(bundle, filesOf()), ...mountPoints('var/lib/aether', 'run/aether')],
    join(layers, 'aether-agent.tar.gz'),
    epoch,
  )
  const supervisor = await writeLayer(
    [...agentEntries(bundle, filesOf('supervisor')), ...mountPoints('workspace', 'run/aether')],
    join(layers, 'aether-nodejs.tar.gz'),
    epoch,
  )

  const about: { version: string; license: string } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  const image = (name: string, description: string) => ({
    reference: `${options.repository}/${name}:${options.tag}`,
    architecture: machine.architecture,
    env: { PATH: '/aether/bin:/usr/local/bin' },
    user: `${user}:${user}`,
    labels: {
      'org.opencontainers.image.title': name,
      'org.opencontainers.image.description': description,
      'org.opencontainers.image.version': about.version,
      'org.opencontainers.image.licenses': about.license,
    },
  })
  const all: Record<string, Image> = {
    'aether-agent': {
      ...image('aether-agent', 'The agents beside an app: init-fetch, fetcher and ed25519-verify.'),
      entrypoint: [],
      command: ['fetcher'],
      workingDir: '/',
      layers: [system.base, agents],
    },
    'aether-nodejs': {
      ...image('aether-nodejs', 'Runs a Node app under a supervisor that replaces its releases in place.'),
      entrypoint: ['/usr/local/bin/tini', '--', '/aether/bin/supervisor'],
      command: [],
      workingDir: '/workspace',
      layers: [system.base, system.init, supervisor],
    },
  }

  const written = []
  for (const [name, recipe] of Object.entries(all))
    written.push(await writeArchive(recipe, join(images, `${name}.tar`), epoch))
  if (options.isJson) {
    console.log(JSON.stringify(written.map((row) => ({ ...row, file: relative(root, row.file) }))))
    return
  }
  const rows = written.map((row) => [
    row.reference,
    row.digest.slice(0, 'sha256:'.length + 12),
    megabytes(row.unpackedBytes),
    megabytes(row.bytes),
    relative(root, row.file),
  ])
  console.log(formatTable(['image', 'digest', 'unpacked MB', 'gzip MB', 'file'], rows))
}

try {
  const options = parseOptions(process.argv.slice(2), process.env['SOURCE_DATE_EPOCH'])
  if (options === undefined) console.log(usage)
  else await buildImages(dirname(dirname(fileURLToPath(import.meta.url))), options)
} catch (error) {
  console.error(`images: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
