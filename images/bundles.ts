// What is bundled, and `npm run build`: dist/agents, dist/control and dist/cli.
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundleCommands, formatBundle, type Recipe } from './bundle.ts'
import { bundleProgram } from './program.ts'

export const root = fileURLToPath(new URL('..', import.meta.url))

/** The commands of the agent images. */
export const agents: Recipe = {
  commands: {
    'init-fetch': 'agents/init-fetch/main.ts',
    fetcher: 'agents/fetcher/main.ts',
    relay: 'agents/fetcher/relay.ts',
    supervisor: 'agents/supervisor/main.ts',
    'ed25519-verify': 'agents/verifier/main.ts',
  },
  isQuick: true,
  unused: [
    'prom-client/lib/pushgateway.js',
    'prom-client/lib/cluster.js',
    '@opentelemetry/api/dist/index.cjs',
    // Of undici the dispatchers and `request` are used; its index loads all of these too.
    ...['mock-agent', 'mock-call-history', 'mock-client', 'mock-errors', 'mock-pool', 'snapshot-agent'].map(
      (name) => `undici/lib/mock/${name}.js`,
    ),
    ...['cache', 'decompress', 'deduplicate', 'dns', 'dump', 'redirect', 'response-error', 'retry'].map(
      (name) => `undici/lib/interceptor/${name}.js`,
    ),
    ...['memory', 'sqlite'].map((name) => `undici/lib/cache/${name}-cache-store.js`),
    ...['events', 'websocket', 'stream/websocketerror', 'stream/websocketstream'].map(
      (name) => `undici/lib/web/websocket/${name}.js`,
    ),
    ...['balanced-pool', 'h2c-client', 'retry-agent', 'round-robin-pool'].map(
      (name) => `undici/lib/dispatcher/${name}.js`,
    ),
    ...['redirect', 'retry'].map((name) => `undici/lib/handler/${name}-handler.js`),
    'undici/lib/web/cache/cache.js',
    'undici/lib/web/cookies/index.js',
    ...['body', 'data-url', 'formdata', 'headers', 'index', 'request', 'response'].map(
      (name) => `undici/lib/web/fetch/${name}.js`,
    ),
    // connect.ts asks for HTTP/1.1 alone, and no variable for the other parser.
    'undici/lib/dispatcher/client-h2.js',
    ...['no-simd', 'simd'].map((name) => `undici/lib/milo/${name}.js`),
    'undici/lib/web/eventsource/eventsource.js',
  ],
  // Loaded into the app's own process by whatever Node that has: as written.
  assets: [{ from: 'agents/supervisor/preload', to: 'lib/preload' }],
}

/** The environment of the agents' image: one pool of malloc for all threads, which keeps little; and a young generation that stays small. */
export const agentEnvironment = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_TRIM_THRESHOLD_: '131072',
  NODE_OPTIONS: '--max-semi-space-size=1',
}

/** The control service. The embedded database is not in it: 25 MB for a single process, which wants a folder of its own. */
export const control: Recipe = {
  commands: { control: 'control/main.ts' },
  assets: [
    { from: 'control/store/migrations', to: 'lib/migrations' },
    { from: 'node_modules/@fastify/swagger-ui/static', to: 'lib/@fastify/swagger-ui/static' },
  ],
  // pg takes pg-native only where it is asked to.
  external: ['@electric-sql/pglite', '@electric-sql/pglite-socket', 'pg-native'],
  withFiles: ['@fastify/swagger-ui'],
}

/** The command line, which people start by hand. */
export const cli = { entry: 'cli/main.ts', file: 'dist/cli/aether' }

if (import.meta.main) {
  for (const [name, recipe] of Object.entries({ agents, control })) {
    console.log(formatBundle(await bundleCommands(root, recipe, join(root, 'dist', name))))
    console.log(`in dist/${name}\n`)
  }
  const { file, bytes } = await bundleProgram(root, cli.entry, join(root, cli.file))
  console.log(`${relative(root, file)}: ${bytes} bytes, one file for Node 22.22 and newer`)
}
