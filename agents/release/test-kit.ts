// For tests: a server that counts, a volume with its key, and a listing that shows any trace left.
import { createHash, generateKeyPairSync, sign } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { annotations } from '@aether/contract/annotations'
import { type Digest, digestFromHex, hexOf } from '@aether/contract/digest'
import { layoutOf } from '@aether/contract/layout'
import { type Detail, type Reason, ReasonError } from '@aether/contract/reasons'
import { parseTarget, type Target } from '@aether/contract/target'
import { testFolder } from '@aether/runtime/test-process'
import { createKeyring } from '@aether/verifier/keyring'
import type { Test } from 'tap'
import { readCurrent } from './activate.ts'
import type { SourcePolicy } from './origins.ts'
import { recoverVolume } from './recover.ts'
import { type RefreshOptions, refresh } from './refresh.ts'
import type { Refreshed } from './refreshed.ts'

export function digestOf(bytes: Uint8Array): Digest {
  return digestFromHex(createHash('sha256').update(bytes).digest('hex'))
}

export function createSigner() {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const sign64 = (digest: Digest) => sign(null, Buffer.from(hexOf(digest)), privateKey).toString('hex')
  return { sign: sign64, publicPem: publicKey.export({ type: 'spki', format: 'pem' }) }
}

/** A file as a static server gives it, or a part of it. */
function answer(bytes: Uint8Array, range: string | undefined, response: ServerResponse): void {
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? []
  if (from === undefined || to === undefined) {
    response.writeHead(200, { 'content-length': bytes.length }).end(bytes)
    return
  }
  const part = bytes.subarray(Number(from), Number(to) + 1)
  const headers = { 'content-length': part.length, 'content-range': `bytes ${from}-${to}/${bytes.length}` }
  response.writeHead(206, headers).end(part)
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** A server on loopback; `routes` maps a path to bytes or a handler; `asked` lists each request's path. */
export async function createArtifactServer(t: Test) {
  const routes = new Map<string, Uint8Array | Handler>()
  const asked: string[] = []
  const server = createServer((request, response) => {
    const path = request.url ?? ''
    asked.push(path)
    const route = routes.get(path.split('?')[0] ?? '')
    if (route === undefined) response.writeHead(404).end('there is nothing here')
    else if (typeof route === 'function') route(request, response)
    else answer(route, request.headers.range, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return { routes, asked, server, url: (path: string) => `http://127.0.0.1:${address.port}${path}` }
}

export const limits = {
  maxArtifactBytes: 8 * 1024 * 1024,
  maxUnpackedBytes: 32 * 1024 * 1024,
  maxEntries: 1000,
  maxDepth: 64,
  maxPathBytes: 3500,
  maxMetadataBytes: 2 * 1024 * 1024,
  maxUnpackRatio: 200,
  refuseCollisions: false,
  maxWorkspaceBytes: 0,
  minFreeBytes: 0,
  idleMs: 5000,
  totalMs: 20_000,
  minBytesPerSec: 1024,
  rateWindowMs: 30_000,
}

/** The servers of tests are on loopback. */
export const sources: SourcePolicy = {
  origins: new Set(),
  controlOrigin: undefined,
  addresses: 'any',
  proxies: undefined,
}

/** A volume, a key, a server, and how a target is made and refreshed. */
export async function createWorld(t: Test, changes: Partial<typeof limits> = {}, root = testFolder(t)) {
  const signer = createSigner()
  const server = await createArtifactServer(t)
  const layout = layoutOf(root)
  const options: RefreshOptions = {
    layout,
    policy: {
      requireSignature: true,
      takesDevelopment: false,
      keyring: createKeyring(signer.publicPem, 'AETHER_PUBKEY'),
    },
    sources,
    limits: { ...limits, ...changes },
  }
  await recoverVolume(layout)
  /** Publishes bytes under a path of their digest and answers the signed target of them. */
  function publish(bytes: Uint8Array, path = `/${hexOf(digestOf(bytes))}.tar.gz`): Target {
    server.routes.set(path, bytes)
    return ask(digestOf(bytes), path)
  }
  function ask(digest: Digest, path: string, signature = signer.sign(digest)): Target {
    const url = path.includes('://') ? path : server.url(path)
    const target = parseTarget({
      [annotations.digest]: digest,
      [annotations.artifactUrl]: url,
      ...(signature === '' ? {} : { [annotations.signature]: signature }),
    })
    if (target === undefined) throw new Error('no target')
    return target
  }
  const take = (target: Target, before?: Target, more: Partial<RefreshOptions> = {}): Promise<Refreshed> =>
    refresh(target, { ...options, ...more }, new AbortController().signal, before)
  return { ...server, root, layout, options, signer, publish, ask, take }
}

export type World = Awaited<ReturnType<typeof createWorld>>

/** Work that must fail: for this reason, in words that help, and with the volume byte for byte what it was. */
export async function refuses<R extends Reason>(
  t: Test,
  { layout, root }: Pick<World, 'layout' | 'root'>,
  work: () => Promise<unknown>,
  reason: R,
  detail: Detail<R>,
  says = /./,
): Promise<void> {
  const before = listTree(root)
  const current = await readCurrent(layout)
  const error = await reasonOf(work())
  t.equal(`${error.reason}/${error.detail}`, `${reason}/${detail}`, error.message)
  t.match(error.message, says)
  t.equal(await readCurrent(layout), current, 'current is what it was')
  t.strictSame(readdirSync(layout.staging), [], 'staging is empty')
  t.strictSame(listTree(root), before, 'no file or link is left')
}

export async function reasonOf(work: Promise<unknown>): Promise<ReasonError> {
  const error = await work.then(
    () => new Error('it did not fail'),
    (thrown: unknown) => thrown,
  )
  if (error instanceof ReasonError) return error
  throw error
}

/** Every path below a folder with type, execute bit, link target and content: equal listings, equal trees. */
export function listTree(root: string, below = ''): string[] {
  return readdirSync(join(root, below))
    .toSorted()
    .flatMap((name) => {
      const path = join(below, name)
      const stat = lstatSync(join(root, path))
      if (stat.isSymbolicLink()) return [`${path} -> ${readlinkSync(join(root, path))}`]
      if (stat.isDirectory()) return [`${path}/`, ...listTree(root, path)]
      if (!stat.isFile()) return [`${path} (special)`]
      const hash = createHash('sha256')
        .update(readFileSync(join(root, path)))
        .digest('hex')
      return [`${path} ${(stat.mode & 0o111) === 0 ? '-' : 'x'} ${hash}`]
    })
}
