// The pods of an app whose fetcher runs, now and from now on: a list, then a watch, and a list again where the watch ended.
import { setTimeout as sleep } from 'node:timers/promises'
import { isObject } from '@aether/contract/json'
import { readAnswer } from '../basics/answer.ts'
import { Failure } from '../basics/failure.ts'
import type { KubeApi } from './kube-api.ts'

export interface PodWatch {
  /** Names of pods that can be asked, by their uid. */
  list(): ReadonlyMap<string, string>
  /** Pods of the app, whatever their state. */
  count(): number
}

const watchSec = 60
const [firstPauseMs, longestPauseMs] = [500, 10_000]

/** Resolves when it was listed once; ends with `signal`. */
export async function watchPods(
  api: KubeApi,
  { app, namespace, signal }: { readonly app: string; readonly namespace: string; readonly signal: AbortSignal },
  onChange: () => void,
): Promise<PodWatch> {
  const path = `/api/v1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(`app=${app}`)}`
  let pods = new Map<string, { readonly name: string; readonly isUp: boolean }>()

  async function list(): Promise<string> {
    const answer = readAnswer(await api.ask('GET', path), 'the list of pods')
    pods = new Map()
    for (const pod of answer.items('items')) take(pod)
    onChange()
    return answer.object('metadata').text('resourceVersion')
  }
  function take(pod: ReturnType<typeof readAnswer>): void {
    const metadata = pod.object('metadata')
    const isUp = !metadata.has('deletionTimestamp') && hasFetcher(pod.object('status'))
    pods.set(metadata.text('uid'), { name: metadata.text('name'), isUp })
  }
  async function follow(version: string): Promise<void> {
    const query = `&watch=1&resourceVersion=${version}&timeoutSeconds=${watchSec}`
    for await (const line of api.follow(path + query, signal)) {
      const event: unknown = line === '' ? undefined : JSON.parse(line)
      if (!isObject(event)) continue
      if (event.type === 'ERROR') return
      const pod = readAnswer(event.object, 'a pod')
      if (event.type === 'DELETED') pods.delete(pod.object('metadata').text('uid'))
      else take(pod)
      onChange()
    }
  }
  async function goOn(first: string): Promise<void> {
    let version: string | undefined = first
    let pauseMs = firstPauseMs
    while (!signal.aborted) {
      try {
        version ??= await list()
        pauseMs = firstPauseMs
        await follow(version)
        version = undefined
      } catch {
        version = undefined
        await sleep(pauseMs, undefined, { signal }).catch(() => {})
        pauseMs = Math.min(longestPauseMs, pauseMs * 2)
      }
    }
  }
  const version = await list().catch((error: unknown) => {
    if (!(error instanceof Failure) || error.code !== '403') throw error
    throw new Failure('failed', `you may not list pods in namespace ${namespace}`, { cause: error, code: '403' })
  })
  void goOn(version)
  return {
    list: () => new Map([...pods].filter(([, { isUp }]) => isUp).map(([uid, { name }]) => [uid, name])),
    count: () => pods.size,
  }
}

/** As a sidecar it is among the init containers; older manifests have it beside the app. */
function hasFetcher(status: ReturnType<typeof readAnswer>): boolean {
  return ['initContainerStatuses', 'containerStatuses']
    .flatMap((name) => (status.has(name) ? status.items(name) : []))
    .some((container) => container.text('name') === 'fetcher' && container.object('state').has('running'))
}
