// What `npm run images` may be asked for.
import { parseArgs } from 'node:util'
import { machines } from './machine.ts'
import { isLine, type Line, lines } from './node-lines.ts'
import type { Architecture } from './oci.ts'

export const usage = `Usage: npm run images -- [options]
  --repository NAME  what the image names start with (aether.local)
  --tag TAG          their tag (dev)
  --arch LIST        architectures, such as amd64,arm64 (that of this machine)
  --node LIST        aether-nodejs for these lines of Node too, such as 20,22,24,26
  --e2e              aether-postgres too, which the scenarios of e2e/ need
  --refresh          download the Debian packages again, for their security updates
  --source URL       where people find the code, for the annotation of that name
  --out FOLDER       where to put images and caches (dist)
  --push REGISTRY    send them to REGISTRY/NAME, such as registry.example/team, with SBOM and signature
  --plain-http       speak HTTP to a registry that is not on this machine
  --check            build nothing: which packages in the images have a newer patch? Exit code 0 none, 1 some, 2 not known
  --from REGISTRY    with --check: ask those of REGISTRY/NAME:TAG, instead of those that were built here
  --pin              build nothing: write the newest release of each line of Node into node-releases.json
  --json             print the table as JSON
The environment variable SOURCE_DATE_EPOCH (seconds) is the time of everything inside; without it files have 0, and the
image the time of the commit. With AETHER_SIGNING_KEY (ed25519 private key in PEM, or the path of its file) the digests are signed.`

export type Options = {
  readonly task: 'build' | 'check' | 'pin'
  readonly repository: string
  readonly tag: string
  /** Undefined: that of this machine. */
  readonly architectures: readonly Architecture[] | undefined
  readonly lines: readonly Line[]
  readonly withE2e: boolean
  readonly isRefresh: boolean
  readonly source: string | undefined
  readonly out: string
  readonly push: string | undefined
  readonly from: string | undefined
  readonly isPlainHttp: boolean
  readonly isJson: boolean
  /** Undefined where SOURCE_DATE_EPOCH is not set. */
  readonly epoch: number | undefined
}

/** Undefined where help is asked for. */
export function parseOptions(args: string[], sourceDateEpoch?: string): Options | undefined {
  const { values } = parseArgs({
    args,
    options: {
      repository: { type: 'string' },
      tag: { type: 'string', default: 'dev' },
      arch: { type: 'string' },
      node: { type: 'string' },
      e2e: { type: 'boolean', default: false },
      refresh: { type: 'boolean', default: false },
      source: { type: 'string' },
      out: { type: 'string', default: 'dist' },
      push: { type: 'string' },
      from: { type: 'string' },
      'plain-http': { type: 'boolean', default: false },
      check: { type: 'boolean', default: false },
      pin: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const tasks = [values.check && 'check', values.pin && 'pin', values.push !== undefined && 'push'].filter(Boolean)
  if (tasks.length > 1) throw new Error(`--${tasks.join(' and --')} are different tasks: ask for one of them`)
  if (values.from !== undefined && !values.check) throw new Error('--from belongs to --check')
  for (const option of ['repository', 'push', 'from'] as const) nameOf(option, values[option])
  if (!/^\w[\w.-]{0,99}$/.test(values.tag))
    throw new Error(`--tag must be up to 100 letters, digits, "_", "." or "-"; it is "${values.tag}"`)
  if (sourceDateEpoch !== undefined && !/^\d{1,11}$/.test(sourceDateEpoch))
    throw new Error(`SOURCE_DATE_EPOCH must be seconds since 1970; it is "${sourceDateEpoch}"`)
  if (values.source !== undefined && !URL.canParse(values.source))
    throw new Error(`--source must be a URL; it is "${values.source}"`)
  return {
    task: values.check ? 'check' : values.pin ? 'pin' : 'build',
    // What is pushed has the registry's name, so that its archives do too.
    repository: values.repository ?? values.push ?? 'aether.local',
    tag: values.tag,
    architectures: listOf('arch', values.arch, isArchitecture, Object.keys(machines)),
    lines: listOf('node', values.node, isLine, lines) ?? [],
    withE2e: values.e2e,
    isRefresh: values.refresh,
    source: values.source,
    out: values.out,
    push: values.push,
    from: values.from,
    isPlainHttp: values['plain-http'],
    isJson: values.json,
    epoch: sourceDateEpoch === undefined ? undefined : Number(sourceDateEpoch),
  }
}

// The grammar of image names: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
function nameOf(option: string, name: string | undefined): void {
  if (name !== undefined && !/^[a-z0-9]+([._-]+[a-z0-9]+)*(:\d{1,5})?(\/[a-z0-9]+([._-]+[a-z0-9]+)*)*$/.test(name))
    throw new Error(
      `--${option} must be a host and a path in lower case, such as registry.example/team; it is "${name}"`,
    )
}

const isArchitecture = (text: string): text is Architecture => Object.keys(machines).includes(text)

function listOf<T extends string>(
  option: string,
  text: string | undefined,
  is: (word: string) => word is T,
  all: readonly string[],
): T[] | undefined {
  const words = text?.split(',').map((word) => word.trim())
  const wrong = words?.find((word) => !is(word))
  if (wrong !== undefined)
    throw new Error(`--${option} takes ${all.join(', ')}, with commas between; it has "${wrong}"`)
  return words && [...new Set(words.filter(is))].toSorted()
}
