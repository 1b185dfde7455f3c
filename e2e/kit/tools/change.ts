// What is changed at the moment from which is measured, with the connection that it goes over opened before.
import { openPodApi } from './api.ts'
import type { Change } from './protocol.ts'

export interface PreparedChange {
  make(): Promise<void>
  close(): void
}

export async function prepareChange(change: Change): Promise<PreparedChange> {
  if (change.kind === 'annotations') {
    const { pods, annotations } = change
    const api = await openPodApi()
    await Promise.all(pods.map((pod) => api.get(pod)))
    return {
      async make() {
        await Promise.all(pods.map((pod) => api.annotate(pod, annotations)))
      },
      close: api.close,
    }
  }
  const { url, method, headers, body } = change
  await (await fetch(url, { headers })).arrayBuffer()
  return {
    async make() {
      const response = await fetch(url, { method, headers, body })
      const text = await response.text()
      if (!response.ok) throw new Error(`${method} ${url} answers ${response.status}: ${text.slice(0, 500)}`)
    },
    close: () => {},
  }
}
