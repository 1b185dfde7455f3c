// Mode `file`: the downward-API file of the pod's annotations. Needs no token and no API server; any program may write it.
import { readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parsePodinfo } from '@aether/contract/podinfo'
import type { Log } from '@aether/runtime/log'
import type { Part } from '@aether/runtime/parts'
import { type FolderWatch, watchFolder } from '@aether/runtime/watch-folder'
import { createDelivery, type Delivery } from './delivery.ts'

export interface FileSourceOptions {
  readonly path: string
  readonly intervalMs: number
  readonly deliver: (delivery: Delivery) => void
  readonly log: Log
}

const maxBytes = 512 * 1024 // all annotations of an object together take at most 256 KiB
/** From the first event of a swap to its last. */
const swapMs = 5

/** Kubernetes swaps the file through a `..data` link beside it, so the folder is watched; one swap is many events. */
export function createFileSource({ path, intervalMs, deliver, log }: FileSourceOptions): Part {
  let watching: FolderWatch | undefined
  let last: string | undefined

  async function read(at: number): Promise<void> {
    try {
      if ((await stat(path)).size > maxBytes) throw new Error(`larger than ${maxBytes} bytes`)
      const text = await readFile(path, 'utf8')
      if (text === last) return
      last = text
      deliver(createDelivery(parsePodinfo(text), at))
    } catch (error) {
      log.warn({ path, err: error }, 'the annotations file cannot be read; the last target stays')
    }
  }
  async function look(): Promise<void> {
    const at = performance.now()
    await sleep(swapMs)
    await read(at)
  }

  return {
    name: 'file source',
    async start() {
      await read(performance.now())
      watching = watchFolder(dirname(path), intervalMs, look)
    },
    stop() {
      watching?.close()
    },
  }
}
