// The two questions about the own pod: what it is, and tell me when it changes. Metadata alone (PartialObjectMetadata):
// less than half of the bytes, and nothing of the pod's spec.
// https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
import type { IncomingMessage } from 'node:http'
import { isObject } from '@aether/contract/json'
import { type ApiServer, ApiServerError, parseJson, statusError } from './api-server.ts'

export interface PodMetadata {
  readonly annotations: Readonly<Record<string, string>>
  readonly resourceVersion: string
}

export interface PodApi {
  /** The pod now. Throws ApiServerError. */
  get(signal: AbortSignal): Promise<PodMetadata>
  /** Calls `onPod` for each change after `resourceVersion`, `onContact` for whatever comes; resolves when the server ends it. */
  watch(resourceVersion: string, calls: WatchCalls, signal: AbortSignal): Promise<void>
}

export interface WatchCalls {
  onPod(pod: PodMetadata): void
  onContact(): void
}

const maxLineChars = 4 * 1024 * 1024
const answerMs = 15_000
const watchSeconds = 300

export function createPodApi(server: ApiServer, pod: { readonly name: string; readonly namespace: string }): PodApi {
  const path = `/api/v1/namespaces/${encodeURIComponent(pod.namespace)}/pods?fieldSelector=${encodeURIComponent(`metadata.name=${pod.name}`)}`
  const accept = (kind: string) => `application/json;as=${kind};v=v1;g=meta.k8s.io`

  return {
    async get(signal) {
      const bound = AbortSignal.any([signal, AbortSignal.timeout(answerMs)])
      const request = { method: 'GET', path, accept: accept('PartialObjectMetadataList') } as const
      let body = ''
      for await (const line of linesOf(await server.send(request, bound))) body += line
      const list = parseJson(body)
      const [item] = isObject(list) && Array.isArray(list.items) ? list.items : []
      if (item === undefined) throw new ApiServerError(404, `pod ${pod.namespace}/${pod.name} does not exist`)
      // The list's version, not the item's: watching goes on from the moment of the list.
      const version = isObject(list) && isObject(list.metadata) ? list.metadata.resourceVersion : undefined
      return { ...metadataOf(item), ...(typeof version === 'string' ? { resourceVersion: version } : {}) }
    },
    async watch(resourceVersion, { onPod, onContact }, signal) {
      const query = `&watch=1&allowWatchBookmarks=true&timeoutSeconds=${watchSeconds}&resourceVersion=${encodeURIComponent(resourceVersion)}`
      const request = { method: 'GET', path: `${path}${query}`, accept: accept('PartialObjectMetadata') } as const
      const response = await server.send(request, signal)
      onContact()
      for await (const line of linesOf(response)) {
        onContact()
        const event = parseJson(line)
        if (!isObject(event)) throw new ApiServerError(0, 'the API server sent an event that is no JSON object')
        if (event.type === 'ERROR') throw statusError(0, event.object)
        if (event.type === 'ADDED' || event.type === 'MODIFIED') onPod(metadataOf(event.object))
      }
    },
  }
}

/** Joins the pieces that events arrive in to lines. A connection that breaks throws ApiServerError. */
async function* linesOf(response: IncomingMessage): AsyncGenerator<string> {
  let rest = ''
  response.setEncoding('utf8')
  try {
    for await (const piece of response) {
      const lines = `${rest}${String(piece)}`.split('\n')
      rest = lines.pop() ?? ''
      if (rest.length > maxLineChars) throw new Error(`an event is longer than ${maxLineChars} characters`)
      yield* lines
    }
  } catch (cause) {
    throw new ApiServerError(
      0,
      `the connection to the API server broke: ${cause instanceof Error ? cause.message : ''}`,
      {
        cause,
      },
    )
  }
  if (rest !== '') yield rest
}

function metadataOf(object: unknown): PodMetadata {
  const metadata = isObject(object) ? object.metadata : undefined
  if (!isObject(metadata) || typeof metadata.resourceVersion !== 'string')
    throw new ApiServerError(0, 'the API server sent an object without metadata')
  const annotations: Record<string, string> = {}
  for (const [name, value] of Object.entries(isObject(metadata.annotations) ? metadata.annotations : {}))
    if (typeof value === 'string') annotations[name] = value
  return { annotations, resourceVersion: metadata.resourceVersion }
}
