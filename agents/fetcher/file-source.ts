// Mode `file`: the downward-API file of the pod's annotations. Needs no token and no API server; any program may write it.
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
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

interface Found {
  readonly text: string
  /** Another one than before: the file took the place of the last, whole, as Kubernetes and every careful program do it. */
  readonly inode: bigint
}

const maxBytes = 512 * 1024 // all annotations of an object together take at most 256 KiB
const flags = constants.O_RDONLY | constants.O_NONBLOCK
/** From the first event of a change to its last, where somebody writes into the file. */
const changeMs = 5

/** Kubernetes swaps the file through a `..data` link beside it, so the folder is watched; one swap is many events. */
export function createFileSource({ path, intervalMs, deliver, log }: FileSourceOptions): Part {
  let watching: FolderWatch | undefined
  let last: Found | undefined

  function find(): Found | undefined {
    try {
      return readFound(path)
    } catch (error) {
      log.warn({ path, err: error }, 'the annotations file cannot be read; the last target stays')
      return undefined
    }
  }
  function take(found: Found, delivery: Delivery): void {
    last = found
    deliver(delivery)
  }
  function read(at: number): void {
    const found = find()
    if (found !== undefined && found.text !== last?.text) take(found, createDelivery(parsePodinfo(found.text), at))
  }
  async function look(): Promise<void> {
    const at = performance.now()
    const found = find()
    if (found === undefined || found.text === last?.text) return
    const delivery = createDelivery(parsePodinfo(found.text), at)
    // One that was written into may be half of what it will be; so may a new one, but then its last lines are missing.
    if (found.inode !== last?.inode && delivery.asked?.signature !== undefined) return take(found, delivery)
    await sleep(changeMs)
    read(at)
  }

  return {
    name: 'file source',
    start() {
      read(performance.now())
      watching = watchFolder(dirname(path), intervalMs, look)
    },
    stop() {
      watching?.close()
    },
  }
}

// At once: five ways through the thread pool cost more than so few bytes.
function readFound(path: string): Found {
  const file = openSync(path, flags)
  try {
    const stat = fstatSync(file, { bigint: true })
    if (!stat.isFile()) throw new Error('no regular file')
    if (stat.size > maxBytes) throw new Error(`larger than ${maxBytes} bytes`)
    return { text: readFileSync(file, 'utf8'), inode: stat.ino }
  } finally {
    closeSync(file)
  }
}
