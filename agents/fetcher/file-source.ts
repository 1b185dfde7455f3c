// Mode `file`: the downward-API file of the pod's annotations. Needs no token and no API server; any program may write it.
import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { parsePodinfo } from '@aether/contract/podinfo'
import type { Log } from '@aether/runtime/log'
import type { Part } from '@aether/runtime/parts'
import { watch } from 'chokidar'
import { createDelivery, type Delivery } from './delivery.ts'

export interface FileSourceOptions {
  readonly path: string
  readonly intervalMs: number
  readonly deliver: (delivery: Delivery) => void
  readonly log: Log
}

const afterMs = 5
const maxBytes = 512 * 1024 // all annotations of an object together take at most 256 KiB

/** Kubernetes swaps the file through a `..data` link beside it, so the folder is watched; one swap is many events. */
export function createFileSource({ path, intervalMs, deliver, log }: FileSourceOptions): Part {
  const watcher = watch([], { ignoreInitial: true, depth: 1, persistent: true })
  let timer: NodeJS.Timeout | undefined
  let interval: NodeJS.Timeout | undefined
  let last: string | undefined

  // At once: the file is small and of a memory volume, and the target waits for it.
  function read(at: number): void {
    try {
      if (statSync(path).size > maxBytes) throw new Error(`larger than ${maxBytes} bytes`)
      const text = readFileSync(path, 'utf8')
      if (text === last) return
      last = text
      deliver(createDelivery(parsePodinfo(text), at))
    } catch (error) {
      log.warn({ path, err: error }, 'the annotations file cannot be read; the last target stays')
    }
  }
  /** A rename puts a whole file there, as the kubelet does it; what writes into the file may not be done yet. */
  function renamed(event: string): void {
    if (event === 'rename' && existsSync(path)) read(performance.now())
  }
  function soon(): void {
    const at = performance.now()
    timer ??= setTimeout(() => {
      timer = undefined
      read(at)
    }, afterMs)
  }

  return {
    name: 'file source',
    start() {
      watcher.on('raw', renamed)
      watcher.on('all', soon)
      watcher.on('error', (error) =>
        log.warn({ path, err: error }, 'the annotations file cannot be watched; it is read at intervals'),
      )
      watcher.add(dirname(path))
      interval = setInterval(soon, intervalMs)
      read(performance.now())
    },
    async stop() {
      clearTimeout(timer)
      clearInterval(interval)
      await watcher.close()
    },
  }
}
