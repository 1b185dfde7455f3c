// The two questions that mode `watch` asks the API server about its own pod: what it is, and tell me when it changes.
// Metadata alone (PartialObjectMetadata): less than half of the bytes, and nothing of the pod's spec.
// https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
import { readFile } from 'node:fs/promises'
import { Agent, type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps, Agent as TlsAgent } from 'node:https'
import { join } from 'node:path'
import { isObject } from '@aether/contract/json'

export interface PodMetadata {
  readonly annotations: Readonly<Record<string, string>>
  readonly resourceVersion: string
}

export class PodApiError extends Error {
  override readonly name = 'PodApiError'
  /** HTTP status, or the code of an ERROR event; 0 where no answer came. 410 asks for a fresh list. */
  readonly status: number

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options)
    this.status = status
  }
}

export interface PodApi {
  /** The pod now. Throws PodApiError. */
  get(signal: AbortSignal): Promise<PodMetadata>
  /** Calls `onPod` for each change after `resourceVersion`, `onContact` for whatever comes; resolves when the server ends it. */
  watch(resourceVersion: string, calls: WatchCalls, signal: AbortSignal): Promise<void>
}

export interface WatchCalls {
  onPod(pod: PodMetadata): void
  onContact(): void
}

export interface PodApiOptions {
  readonly url: string
  readonly credentialsDir: string
  readonly pod: { readonly name: string; readonly namespace: string }
}

const maxLineBytes = 4 * 1024 * 1024
const answerMs = 15_000
const watchSeconds = 300

export function createPodApi({ url, credentialsDir, pod }: PodApiOptions): PodApi {
  const secure = url.startsWith('https:')
  const path = `/api/v1/namespaces/${encodeURIComponent(pod.namespace)}/pods`
  const own = `fieldSelector=${encodeURIComponent(`metadata.name=${pod.name}`)}`
  const agent = secure
    ? new TlsAgent({ keepAlive: true, maxSockets: 2 })
    : new Agent({ keepAlive: true, maxSockets: 2 })

  // Read at each request: tokens rotate, and so may the CA.
  const credential = (name: string) => readFile(join(credentialsDir, name), 'utf8').catch(() => undefined)

  async function ask(query: string, kind: string, signal: AbortSignal): Promise<IncomingMessage> {
    const [token, ca] = await Promise.all([credential('token'), credential('ca.crt')])
    const headers = {
      accept: `application/json;as=${kind};v=v1;g=meta.k8s.io`,
      'user-agent': 'aether-fetcher',
      ...(token === undefined ? {} : { authorization: `Bearer ${token.trim()}` }),
    }
    return new Promise((resolve, reject) => {
      const send = secure ? requestHttps : requestHttp
      let answered = false
      const request = send(
        `${url}${path}?${query}`,
        { agent, headers, signal, ...(ca === undefined ? {} : { ca }) },
        (response) => {
          answered = true
          resolve(response)
        },
      )
      // Until the headers; a watch may then be silent for as long as its watchdog allows.
      request.setTimeout(answerMs, () => {
        if (!answered) request.destroy(new Error(`no answer in ${answerMs} ms`))
      })
      request.on('error', (cause) =>
        reject(new PodApiError(0, `the API server cannot be reached: ${cause.message}`, { cause })),
      )
      request.end()
    })
  }

  return {
    async get(signal) {
      const response = await ask(
        own,
        'PartialObjectMetadataList',
        AbortSignal.any([signal, AbortSignal.timeout(answerMs)]),
      )
      let body = ''
      for await (const line of linesOf(response)) body += line
      if (response.statusCode !== 200) throw statusError(response.statusCode ?? 0, parseJson(body))
      const list = parseJson(body)
      const [item] = isObject(list) && Array.isArray(list.items) ? list.items : []
      if (item === undefined) throw new PodApiError(404, `pod ${pod.namespace}/${pod.name} does not exist`)
      // The list's version, not the item's: watching goes on from the moment of the list.
      const version = isObject(list) && isObject(list.metadata) ? list.metadata.resourceVersion : undefined
      return { ...metadataOf(item), ...(typeof version === 'string' ? { resourceVersion: version } : {}) }
    },
    async watch(resourceVersion, { onPod, onContact }, signal) {
      const query = `${own}&watch=1&allowWatchBookmarks=true&timeoutSeconds=${watchSeconds}&resourceVersion=${encodeURIComponent(resourceVersion)}`
      const response = await ask(query, 'PartialObjectMetadata', signal)
      if (response.statusCode !== 200) {
        let body = ''
        for await (const line of linesOf(response)) body += line
        throw statusError(response.statusCode ?? 0, parseJson(body))
      }
      onContact()
      for await (const line of linesOf(response)) {
        onContact()
        const event = parseJson(line)
        if (!isObject(event)) throw new PodApiError(0, 'the API server sent an event that is no JSON object')
        if (event.type === 'ERROR') throw statusError(0, event.object)
        if (event.type === 'ADDED' || event.type === 'MODIFIED') onPod(metadataOf(event.object))
      }
    },
  }
}

/** Joins the pieces that events arrive in to lines. A connection that breaks throws PodApiError. */
async function* linesOf(response: IncomingMessage): AsyncGenerator<string> {
  let rest = ''
  response.setEncoding('utf8')
  try {
    for await (const piece of response) {
      const lines = `${rest}${String(piece)}`.split('\n')
      rest = lines.pop() ?? ''
      if (rest.length > maxLineBytes) throw new Error(`an event is longer than ${maxLineBytes} bytes`)
      yield* lines
    }
  } catch (cause) {
    throw new PodApiError(0, `the connection to the API server broke: ${cause instanceof Error ? cause.message : ''}`, {
      cause,
    })
  }
  if (rest !== '') yield rest
}

function metadataOf(object: unknown): PodMetadata {
  const metadata = isObject(object) ? object.metadata : undefined
  if (!isObject(metadata) || typeof metadata.resourceVersion !== 'string')
    throw new PodApiError(0, 'the API server sent an object without metadata')
  const annotations: Record<string, string> = {}
  for (const [name, value] of Object.entries(isObject(metadata.annotations) ? metadata.annotations : {}))
    if (typeof value === 'string') annotations[name] = value
  return { annotations, resourceVersion: metadata.resourceVersion }
}

function statusError(status: number, body: unknown): PodApiError {
  const code = isObject(body) && typeof body.code === 'number' ? body.code : status
  const message = isObject(body) && typeof body.message === 'string' ? body.message : 'no reason given'
  return new PodApiError(code, `the API server answers ${code}: ${message.slice(0, 300)}`)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
