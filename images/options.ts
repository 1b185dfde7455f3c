// What `npm run images` may be asked for.
import { parseArgs } from 'node:util'

export const usage = `Usage: npm run images -- [options]
  --repository NAME  what the image names start with (aether.local)
  --tag TAG          their tag (dev)
  --e2e              aether-postgres too, which the scenarios of e2e/ need
  --refresh          download the Debian packages again, for their security updates
  --json             print the table as JSON
The environment variable SOURCE_DATE_EPOCH (seconds) is the time of everything inside; 0 without it.`

export type Options = {
  readonly repository: string
  readonly tag: string
  readonly withE2e: boolean
  readonly isRefresh: boolean
  readonly isJson: boolean
  readonly epoch: number
}

/** Undefined where help is asked for. */
export function parseOptions(args: string[], sourceDateEpoch = '0'): Options | undefined {
  const { values } = parseArgs({
    args,
    options: {
      repository: { type: 'string', default: 'aether.local' },
      tag: { type: 'string', default: 'dev' },
      e2e: { type: 'boolean', default: false },
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
    withE2e: values.e2e,
    isRefresh: values.refresh,
    isJson: values.json,
    epoch: Number(sourceDateEpoch),
  }
}
