import { join, resolve } from 'node:path'
import { createConfigReader } from '@aether/runtime/config'
import { type LogLevel, logLevels } from '@aether/runtime/log'
import { type ApiToken, parseTokens } from './tokens.ts'

export interface ControlConfig {
  readonly host: string
  readonly port: number
  /** Without a slash at its end. */
  readonly publicUrl: string
  readonly dataDir: string
  /** Undefined: an embedded database in the data folder. */
  readonly databaseUrl: string | undefined
  /** Undefined: one for an admin, made at the first start. */
  readonly tokens: readonly ApiToken[] | undefined
  readonly maxArtifactBytes: number
  readonly maxUnpackedBytes: number
  readonly maxEntries: number
  /** 0: all stay. */
  readonly keepArtifacts: number
  readonly requireSignature: boolean
  readonly developmentEnvironments: ReadonlySet<string>
  readonly cluster: 'none' | 'kubernetes'
  /** Undefined: the service account of the pod. */
  readonly kubeconfig: string | undefined
  readonly namespace: string
  readonly allNamespaces: boolean
  readonly targetsDir: string
  readonly syncTimeoutMs: number
  readonly images: { readonly agent: string; readonly nodejs: string; readonly fetch: string | undefined }
  readonly podFetchMode: 'watch' | 'file'
  readonly keysSecret: string
  readonly logLevel: LogLevel
  readonly warnings: readonly string[]
}

/** Throws ConfigError or HelpAsked. */
export function loadConfig(argv: readonly string[], env: NodeJS.ProcessEnv): ControlConfig {
  const read = createConfigReader('control', 'keeps artifacts and deployments, and moves what runs.', argv, env)
  const host = read.text('AETHER_CONTROL_HOST', '127.0.0.1', 'Address it listens on; 0.0.0.0 in a pod.')
  // Not AETHER_CONTROL_PORT: Kubernetes puts tcp://... there for a Service named aether-control.
  const port = read.integer('AETHER_CONTROL_LISTEN_PORT', 8480, { min: 0, max: 65_535 }, 'Port it listens on.')
  const dataDir = resolve(
    read.text('AETHER_CONTROL_DATA_DIR', './.aether/control', 'Folder of artifacts and of what is not configured.'),
  )
  const config = {
    host,
    port,
    dataDir,
    publicUrl:
      read.parsed(
        'AETHER_PUBLIC_URL',
        'URL',
        parsePublicUrl,
        'Stable URL of this service, as annotations hold it; without it, http://127.0.0.1 and the port.',
      ) ?? `http://127.0.0.1:${port}`,
    databaseUrl: read.parsed(
      'DATABASE_URL',
      'URL',
      parseDatabaseUrl,
      'PostgreSQL, 15 or later; without it, a database in the data folder, for one process.',
    ),
    tokens: read.parsed(
      'AETHER_API_TOKENS',
      'TOKEN:ROLE:USER,...',
      parseTokens,
      'Tokens in force; without them, one for an admin is made in the data folder.',
    ),
    maxArtifactBytes: read.integer(
      'AETHER_MAX_ARTIFACT_BYTES',
      1024 ** 3,
      { min: 1, max: 1024 ** 4 },
      'Largest artifact, packed.',
    ),
    maxUnpackedBytes: read.integer(
      'AETHER_MAX_UNPACKED_BYTES',
      4 * 1024 ** 3,
      { min: 1, max: 1024 ** 4 },
      'Largest release, unpacked.',
    ),
    maxEntries: read.integer(
      'AETHER_MAX_ENTRIES',
      200_000,
      { min: 1, max: 10_000_000 },
      'Most files, folders and links in a release.',
    ),
    keepArtifacts: read.integer(
      'AETHER_KEEP_ARTIFACTS',
      0,
      { min: 0, max: 1_000_000 },
      'Artifacts of an app that stay, newest first, beside those that a deployment uses; 0 keeps all.',
    ),
    requireSignature: read.boolean(
      'AETHER_REQUIRE_SIGNATURE',
      true,
      'false takes unsigned artifacts of apps that have no key: for development.',
    ),
    developmentEnvironments:
      read.parsed(
        'AETHER_DEVELOPMENT_ENVIRONMENTS',
        'NAME,...',
        parseEnvironments,
        'Environments that take what development keys signed (aether dev); their pods do too. None without it; never production.',
      ) ?? new Set(),
    cluster: read.choice(
      'AETHER_CLUSTER',
      ['none', 'kubernetes'],
      'none',
      'What runs the apps: agents on this machine, or a cluster.',
    ),
    kubeconfig: read.optionalText(
      'KUBECONFIG',
      'With a cluster: path of a kubeconfig; without it, the service account of the pod.',
    ),
    namespace: read.text(
      'AETHER_NAMESPACE',
      'default',
      'Namespace of deployments that name none; the only one there is, unless all are.',
    ),
    allNamespaces: read.boolean('AETHER_DEV_HOT_MULTI_NS', false, 'true moves apps in all namespaces.'),
    targetsDir: resolve(
      read.optionalText(
        'AETHER_TARGETS_DIR',
        'Without a cluster: folder of file targets; else targets/ in the data folder.',
      ) ?? join(dataDir, 'targets'),
    ),
    syncTimeoutMs:
      1000 *
      read.integer(
        'AETHER_SYNC_TIMEOUT_SEC',
        120,
        { min: 1, max: 86_400 },
        'Longest time for a new digest to serve before the deployment has failed.',
      ),
    images: {
      agent: read.text(
        'AETHER_AGENT_IMAGE',
        'aether.local/aether-agent:dev',
        'Image of init-fetch, and of the sidecar.',
      ),
      nodejs: read.text(
        'AETHER_NODEJS_IMAGE',
        'aether.local/aether-nodejs:dev',
        'Image of the app: Node and the supervisor.',
      ),
      fetch: read.optionalText('AETHER_FETCH_IMAGE', "The sidecar's image, where it is another."),
    },
    podFetchMode: read.choice(
      'AETHER_POD_FETCH_MODE',
      ['watch', 'file'],
      'watch',
      'How pods learn of their target: from the API server, or from the downward-API file.',
    ),
    keysSecret: read.text(
      'AETHER_KEYS_SECRET',
      'aether-keys',
      'Secret of the public keys in the namespace of the pods.',
    ),
    logLevel: read.choice('AETHER_LOG_LEVEL', logLevels, 'info', 'Least level that is logged.'),
  }
  return Object.freeze({ ...config, warnings: read.finish().warnings })
}

function parsePublicUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) throw new Error('write an http or https URL')
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    throw new Error('write it without credentials, query and fragment: annotations hold it')
  return url.href.replace(/\/+$/, '')
}

function parseEnvironments(text: string): ReadonlySet<string> {
  const names = text.split(',').map((name) => name.trim())
  const strange = names.find((name) => !/^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/.test(name))
  if (strange !== undefined) throw new Error(`${JSON.stringify(strange)} is no name of an environment`)
  if (names.includes('production')) throw new Error('production takes no development keys: leave it out')
  return new Set(names)
}

function parseDatabaseUrl(text: string): string {
  if (URL.canParse(text) && /^postgres(ql)?:$/.test(new URL(text).protocol)) return text
  throw new Error('write postgres://user:password@host:5432/database')
}
