// For tests: control whole, on the embedded database, a folder of artifacts and file targets, without its process. Each
// answer is held against the OpenAPI document that the same instance serves.
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isObject } from '@aether/contract/json'
import type { Log, LogFields } from '@aether/runtime/log'
import { createRegistry } from '@aether/runtime/metrics'
import tap, { type Test } from 'tap'
import { Check } from 'typebox/schema'
import { createAppMetrics } from './app-metrics.ts'
import { createFolderBlobs } from './blobs/folder.ts'
import { createFolderTrees } from './blobs/tree-folder.ts'
import { createLocalCluster } from './cluster/local.ts'
import { localFilesOf } from './cluster/local-files.ts'
import { createDomain } from './domain/create-services.ts'
import type { AuditEntry } from './domain/model.ts'
import type { Store } from './domain/ports.ts'
import type { TreePolicy } from './domain/trees.ts'
import { buildApp, type HttpOptions } from './http/app.ts'
import { openStore } from './store/open.ts'

export const callers = ['admin', 'deployer', 'uploader', 'reader', 'agent'] as const
export type Caller = (typeof callers)[number]

export interface Asked {
  readonly as?: Caller | 'nobody' | 'stranger'
  readonly headers?: Readonly<Record<string, string>>
  /** JSON; a string or bytes as they are. */
  readonly body?: unknown
}

export interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly json: Readonly<Record<string, unknown>>
  readonly bytes: Buffer
}

// One for the whole file: the database takes seconds to open.
let opened: Promise<Store> | undefined
let count = 0

function openOnce(): Promise<Store> {
  opened ??= (async () => {
    const dataFolder = await mkdtemp(join(tmpdir(), 'aether-control-'))
    const store = await openStore({ databaseUrl: undefined, dataFolder })
    tap.teardown(async () => {
      await store.close()
      await rm(dataFolder, { recursive: true })
    })
    return store
  })()
  return opened
}

/** With an app of its own, a user of each role, and the token of the app's agents. The last one's tokens are in force. */
export async function openControl(
  t: Test,
  options: Partial<HttpOptions> &
    Partial<Pick<TreePolicy, 'maxArtifactBytes' | 'maxUnpackedBytes' | 'maxEntries'>> = {},
) {
  const folder = await mkdtemp(join(tmpdir(), 'aether-control-'))
  count += 1
  const app = `hello-${count}`
  const audited: AuditEntry[] = []
  const logged: { readonly level: string; readonly fields: LogFields; readonly message: string }[] = []
  const into = (level: string) => (fields: LogFields, message: string) => void logged.push({ level, fields, message })
  const log: Log = {
    debug: into('debug'),
    info: into('info'),
    warn: into('warn'),
    error: into('error'),
    marker: () => {},
  }
  const store = await openOnce()
  const blobs = createFolderBlobs(join(folder, 'artifacts'))
  const treeBlobs = createFolderTrees(join(folder, 'trees'), 64 * 1024 ** 2)
  const cluster = createLocalCluster({
    folder: join(folder, 'targets'),
    setAgentToken: store.setAgentToken,
    intervalMs: 500,
  })
  const registry = createRegistry()
  const { services, controller, trees, retain } = createDomain({
    store,
    blobs,
    treeBlobs,
    cluster,
    publicUrl: 'http://control.test',
    syncTimeoutMs: 60_000,
    maxArtifactBytes: options.maxArtifactBytes ?? 1024 ** 3,
    maxUnpackedBytes: options.maxUnpackedBytes ?? 1024 ** 3,
    maxEntries: options.maxEntries ?? 50_000,
    requireSignature: false,
    developmentEnvironments: new Set(['development']),
    log,
    metrics: createAppMetrics(registry, store, log),
  })
  const instance = await buildApp({
    services,
    audit: async (entry) => {
      audited.push(entry)
      await store.audit(entry)
    },
    registry,
    log,
    version: '0.0.0',
    namespace: 'default',
    allNamespaces: false,
    ...options,
  })
  await blobs.recover()
  await treeBlobs.recover([])
  controller.start()
  t.teardown(async () => {
    await instance.close()
    await controller.stop()
    await rm(folder, { recursive: true })
  })
  await instance.ready()

  const tokens = new Map<string, string>()
  for (const name of [...callers, 'stranger']) tokens.set(name, randomBytes(16).toString('hex'))
  const sha256Of = (name: string) =>
    createHash('sha256')
      .update(tokens.get(name) ?? '')
      .digest('hex')
  await store.setTokens(
    (['admin', 'deployer', 'uploader', 'reader'] as const).map((role) => ({
      sha256: sha256Of(role),
      role,
      user: `the-${role}`,
    })),
  )
  await services.apps.create(app)
  const files = localFilesOf(join(folder, 'targets'), { namespace: 'default', app })
  await store.setAgentToken(sha256Of('agent'), 'default', app)

  async function ask(
    method: Method,
    path: string,
    { as = 'admin', headers = {}, body }: Asked = {},
  ): Promise<Answered> {
    const isJson = isObject(body)
    // From its first deployment on, the cluster gives them another.
    if (as === 'agent' && existsSync(files.token)) tokens.set('agent', readFileSync(files.token, 'utf8').trim())
    const answer = await instance.inject({
      method,
      url: path,
      headers: {
        ...(as === 'nobody' ? {} : { authorization: `Bearer ${tokens.get(as)}` }),
        ...(isJson ? { 'content-type': 'application/json' } : {}),
        ...headers,
      },
      ...(isJson || Buffer.isBuffer(body) || typeof body === 'string' ? { payload: body } : {}),
    })
    const type = answer.headers['content-type'] ?? ''
    const parsed: unknown = type.includes('json') && answer.payload !== '' ? answer.json() : {}
    const json = isObject(parsed) ? parsed : {}
    holdAgainst(t, instance.swagger(), { method, path, status: answer.statusCode, type, json })
    return { status: answer.statusCode, headers: answer.headers, json, bytes: answer.rawPayload }
  }

  async function upload(bytes: Buffer, asked: Asked = {}): Promise<Answered> {
    return ask('POST', '/artifacts', {
      ...asked,
      body: bytes,
      headers: {
        'content-type': 'application/gzip',
        'aether-app': app,
        'aether-digest': digestOf(bytes),
        ...asked.headers,
      },
    })
  }

  return { app, instance, services, trees, retain, store, registry, audited, logged, tokens, folder, ask, upload }
}

type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

interface Seen {
  readonly method: string
  readonly path: string
  readonly status: number
  readonly type: string
  readonly json: unknown
}

/** The status is one that the operation documents, and the body fits its schema. */
function holdAgainst(t: Test, document: unknown, { method, path, status, type, json }: Seen): void {
  const operation = operationsOf(document).find(
    (one) => one.method === method && one.pattern.test(path.split('?')[0] ?? ''),
  )
  if (operation === undefined) return
  const answer = operation.responses[status]
  if (!isObject(answer)) {
    t.fail(`${method} ${path} answered ${status}, which the document does not know`)
    return
  }
  const media = isObject(answer.content) ? answer.content[type.split(';')[0] ?? ''] : undefined
  if (method !== 'HEAD' && isObject(media) && isObject(media.schema) && type.includes('json'))
    t.ok(
      Check(media.schema, json),
      `${method} ${path} ${status} fits its schema: ${JSON.stringify(json).slice(0, 300)}`,
    )
  else
    t.ok(method === 'HEAD' || answer.content === undefined || isObject(media), `${method} ${path} ${status}: ${type}`)
}

export interface DocumentedOperation {
  readonly id: string
  readonly method: string
  readonly path: string
  readonly pattern: RegExp
  readonly responses: Readonly<Record<string, unknown>>
  readonly operation: Readonly<Record<string, unknown>>
}

export function operationsOf(document: unknown): readonly DocumentedOperation[] {
  if (!isObject(document) || !isObject(document.paths)) throw new TypeError('no document')
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(isObject(methods) ? methods : {}).flatMap(([method, operation]) => {
      if (!isObject(operation)) return []
      const pattern = new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`)
      const responses = isObject(operation.responses) ? operation.responses : {}
      const id = String(operation.operationId)
      return [{ id, method: method.toUpperCase(), path, pattern, responses, operation }]
    }),
  )
}
