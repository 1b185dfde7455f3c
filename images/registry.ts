// A client for the part of the OCI distribution spec v1.1 that sending and looking at images takes:
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Answer, type Exchange, exchange } from './http-exchange.ts'
import { type Descriptor, type Document, digestOf, mediaTypes } from './oci.ts'
import { createAuthorizer, loadCredentials } from './registry-auth.ts'

export type Registry = Awaited<ReturnType<typeof openRegistry>>

const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/
const accepted = [mediaTypes.manifest, mediaTypes.index].join(', ')

/** Speaks HTTPS, and HTTP to this machine or where `isPlainHttp` asks for it. */
export async function openRegistry(host: string, isPlainHttp: boolean, env: NodeJS.ProcessEnv) {
  const isLocal = loopback.test(new URL(`http://${host}`).hostname)
  const origin = new URL(`${isPlainHttp || isLocal ? 'http' : 'https'}://${host}`)
  const authorizer = createAuthorizer(origin, await loadCredentials(host, env))

  /** Follows at most three redirects of a GET, and one challenge; a server's own trouble is tried three times. */
  async function ask(repository: string, path: string, wanted: Exchange, expected: readonly number[]): Promise<Answer> {
    const scope = `repository:${repository}:${wanted.method === 'GET' || wanted.method === 'HEAD' ? 'pull' : 'pull,push'}`
    let url = new URL(path, origin)
    let redirects = 0
    let isAuthorized = false
    for (let attempt = 1; ; ) {
      if (origin.protocol === 'https:' && url.protocol !== 'https:')
        throw new Error(`${origin.host} leads to ${url.origin}, which is not https: it is not followed`)
      // Where storage is elsewhere its URL carries what it needs, and it is not shown ours.
      const header = url.origin === origin.origin ? authorizer.header(scope) : undefined
      const headers = { ...wanted.headers, ...(header !== undefined && { authorization: header }) }
      const answer = await exchange(url, { ...wanted, headers }).catch(async (error: unknown) => {
        if (attempt >= 3 || !isPassing(error)) throw error
        return undefined
      })
      if (answer !== undefined) {
        const { status } = answer
        if (expected.includes(status)) return answer
        const { location } = answer.headers
        if (wanted.method === 'GET' && [301, 302, 303, 307, 308].includes(status) && location && redirects++ < 3) {
          url = new URL(location, url)
          continue
        }
        if (status === 401 && !isAuthorized && url.origin === origin.origin) {
          isAuthorized = true
          if (await authorizer.answer(answer.headers['www-authenticate'], scope)) continue
        }
        if (attempt >= 3 || (status < 500 && status !== 429)) throw refused(wanted.method, url, answer)
      }
      await sleep(500 * attempt++)
    }
  }

  const registry = {
    host,
    async hasBlob(repository: string, { digest, size }: Pick<Descriptor, 'digest' | 'size'>): Promise<boolean> {
      const { status, headers } = await ask(
        repository,
        `/v2/${repository}/blobs/${digest}`,
        { method: 'HEAD' },
        [200, 404],
      )
      return status === 200 && headers['content-length'] === `${size}`
    },

    /** True where bytes were sent: not where the registry has the blob, in this repository or in `from`, which it may mount. */
    async putBlob(
      repository: string,
      digest: string,
      blob: { readonly size: number; readonly from: string | Uint8Array },
      from?: string,
    ): Promise<boolean> {
      if (await registry.hasBlob(repository, { digest, size: blob.size })) return false
      const mount = from === undefined ? '' : `?${new URLSearchParams({ mount: digest, from }).toString()}`
      const start = `/v2/${repository}/blobs/uploads/`
      const begun = await ask(repository, `${start}${mount}`, { method: 'POST', headers: empty }, [201, 202])
      if (begun.status === 201) return false
      const place = new URL(begun.headers.location ?? '', new URL(start, origin))
      place.searchParams.set('digest', digest)
      const headers = { 'content-type': 'application/octet-stream' }
      await ask(repository, place.href, { method: 'PUT', headers, body: blob }, [201])
      return true
    },

    /** True where the registry lists a manifest with a subject by itself. */
    async putManifest(repository: string, reference: string, { descriptor, bytes }: Document): Promise<boolean> {
      const { headers } = await ask(
        repository,
        `/v2/${repository}/manifests/${reference}`,
        {
          method: 'PUT',
          headers: { 'content-type': descriptor.mediaType },
          body: { size: bytes.length, from: bytes },
        },
        [201],
      )
      return headers['oci-subject'] !== undefined
    },

    /** By tag or digest; undefined where there is none. What comes by digest is held against it. */
    async getManifest(repository: string, reference: string): Promise<Document | undefined> {
      const path = `/v2/${repository}/manifests/${reference}`
      const { status, headers, body } = await ask(
        repository,
        path,
        { method: 'GET', headers: { accept: accepted } },
        [200, 404],
      )
      if (status === 404) return undefined
      const digest = digestOf(body)
      if (reference.startsWith('sha256:') && reference !== digest)
        throw new Error(`${host} gave ${digest} as ${repository}@${reference}`)
      const mediaType = headers['content-type'] ?? mediaTypes.manifest
      return { descriptor: { mediaType, digest, size: body.length }, bytes: body }
    },

    /** Reads a blob and holds it against its digest; `onBytes` may keep it. */
    async readBlob(
      repository: string,
      { digest, size }: Descriptor,
      onBytes?: (bytes: Uint8Array) => void,
    ): Promise<void> {
      const hash = createHash('sha256')
      await ask(
        repository,
        `/v2/${repository}/blobs/${digest}`,
        {
          method: 'GET',
          maxBytes: size,
          onBytes(bytes) {
            hash.update(bytes)
            onBytes?.(bytes)
          },
        },
        [200],
      )
      const found = `sha256:${hash.digest('hex')}`
      if (found !== digest) throw new Error(`${host} gave ${found} as the blob ${digest} of ${repository}`)
    },

    /** What points to a manifest (https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers). */
    async getReferrers(repository: string, digest: string): Promise<Referrer[]> {
      const listed = await ask(
        repository,
        `/v2/${repository}/referrers/${digest}`,
        { method: 'GET' },
        [200, 400, 404, 405],
      )
      const bytes = listed.status === 200 ? listed.body : (await registry.getManifest(repository, tagOf(digest)))?.bytes
      const index: { manifests: Referrer[] } = JSON.parse(Buffer.from(bytes ?? '{"manifests":[]}').toString())
      return index.manifests
    },
  }
  return registry
}

export type Referrer = Descriptor & { readonly artifactType?: string }

/** Where referrers are listed in a registry that does not list them itself. */
export const tagOf = (digest: string) => digest.replace(':', '-')

/** A connection that broke off: not one that nobody takes, nor a file that is not there. */
function isPassing(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  return ['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EAI_AGAIN'].some((one) => one === code)
}

const empty = { 'content-length': '0' }

function refused(method: string, url: URL, { status, body }: Answer): Error {
  const said = /"message"\s*:\s*"([^"]{1,200})"/.exec(body.toString('utf8', 0, 10_000))?.[1]
  const hint =
    status === 401 || status === 403 ? ': log in to the registry, with the right to write (images/README.md)' : ''
  return new Error(
    `${method} ${url.origin}${url.pathname}: status ${status}${said === undefined ? '' : ` (${said})`}${hint}`,
  )
}

/** The contents of the artifacts of a type that point to a manifest; at most 16 MiB each. */
export async function referrersOf(
  registry: Registry,
  repository: string,
  digest: string,
  type: string,
): Promise<Buffer[]> {
  const contents: Buffer[] = []
  for (const referrer of await registry.getReferrers(repository, digest)) {
    if (referrer.artifactType !== type) continue
    const manifest = await registry.getManifest(repository, referrer.digest)
    const { layers }: { layers: Descriptor[] } = JSON.parse(Buffer.from(manifest?.bytes ?? '{"layers":[]}').toString())
    for (const layer of layers) {
      if (layer.size > 16 << 20) throw new Error(`${registry.host} has ${layer.size} bytes as ${type} of ${digest}`)
      const pieces: Uint8Array[] = []
      await registry.readBlob(repository, layer, (bytes) => pieces.push(bytes))
      contents.push(Buffer.concat(pieces))
    }
  }
  return contents
}
