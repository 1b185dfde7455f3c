// What pods ask for beside a tree's root (docs/artifact-format.md), made when it is first asked for: the full pack with its index,
// and the delta from any other tree of the app. Each is made once, however many ask.
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { encodeDeltaHead } from '@aether/artifact/delta-pack'
import { deltaContent, forWaiting, writeRecords } from '@aether/artifact/delta-write'
import { createFullPack } from '@aether/artifact/full-pack'
import { encodeIndex, packIndex } from '@aether/artifact/index-pack'
import { deltaSuffix, fullSuffix, indexSuffix } from '@aether/artifact/store-names'
import { expandTree } from '@aether/artifact/tree-walk'
import { createAtMost } from './at-most.ts'
import { ControlError } from './errors.ts'
import type { AppName, StoredPlace } from './model.ts'
import type { MadeFile, Store, TreeBlobs } from './ports.ts'
import type { TreeBytes } from './tree-bytes.ts'
import { sideOf } from './tree-check.ts'
import type { HeldTree } from './tree-memory.ts'

/** Beside the root; or the digest of the tree that a delta is to start from. */
export type TreeFile = 'full' | 'index' | { readonly from: string }

export interface TreeFilesOptions {
  readonly store: Pick<Store, 'findObjects'>
  readonly blobs: Pick<TreeBlobs, 'findMade' | 'make'>
  /** Throws `unknown_artifact` where the app has no such tree. */
  readonly load: (app: AppName, digest: string) => Promise<HeldTree>
  readonly openBytes: (app: AppName) => TreeBytes
}

export interface TreeFiles {
  open(app: AppName, digest: string, file: TreeFile): Promise<MadeFile>
  /** Makes a delta that pods are about to ask for. Where that fails, they ask themselves and hear why. */
  prepare(app: AppName, digest: string, from: string): void
}

const endless = {
  maxEntries: Number.MAX_SAFE_INTEGER,
  maxDepth: Number.MAX_SAFE_INTEGER,
  maxPathBytes: Number.MAX_SAFE_INTEGER,
  maxBytes: Number.MAX_SAFE_INTEGER,
}
const turnEntries = 500
/** Less than fetchers wait for the head of an answer (AETHER_DOWNLOAD_IDLE_MS). */
const longestWaitMs = 20_000
/** A full pack takes about two cores for as long as it is made. */
const [mostFull, mostDeltas, mostWaiting] = [1, 4, 64]

export function createTreeFiles({ store, blobs, load, openBytes }: TreeFilesOptions): TreeFiles {
  const underWay = new Map<string, Promise<void>>()
  const oneFull = createAtMost(mostFull, mostWaiting, 'full packs are asked for')
  const fewDeltas = createAtMost(mostDeltas, mostWaiting, 'deltas are asked for')

  async function makeFull(app: AppName, digest: string): Promise<void> {
    const tree = await load(app, digest)
    const read = await readerOf(app, [...tree.contents.keys()])
    const { root, store: find } = sideOf(tree)
    try {
      await blobs.make(app, [digest + fullSuffix, digest + indexSuffix], async ([putFull, putIndex]) => {
        if (putFull === undefined || putIndex === undefined) return
        const pack = createFullPack(putFull)
        let steps = 0
        for (const { path, entry } of expandTree(root, find, endless)) {
          if (++steps % turnEntries === 0) await turn()
          if (entry.kind === 'folder') await pack.folder(path)
          else if (entry.kind === 'link') await pack.link(path, entry.to)
          else {
            await pack.file(path, entry.executable, entry.size)
            for await (const piece of read.file(entry.digest)) await pack.data(piece)
            await pack.fileEnd(entry.digest)
          }
        }
        await putIndex(await packIndex(encodeIndex(root, tree.objects, await pack.end())))
      })
    } finally {
      await read.close()
    }
  }

  async function makeDelta(app: AppName, from: string, to: string): Promise<void> {
    const [old, tree] = [await load(app, from), await load(app, to)]
    const content = deltaContent(old, tree)
    const read = await readerOf(app, [...content.files.keys()])
    try {
      await blobs.make(app, [to + deltaSuffix(from)], async ([put]) => {
        if (put === undefined) return
        await put(encodeDeltaHead({ from, to }))
        await writeRecords(content, read.file, put, forWaiting)
      })
    } finally {
      await read.close()
    }
  }

  async function readerOf(app: AppName, digests: readonly string[]) {
    const places = new Map<string, StoredPlace>()
    for (const place of await store.findObjects(app, digests)) places.set(place.digest, place)
    const bytes = openBytes(app)
    return {
      file(digest: string) {
        const place = places.get(digest)
        if (place !== undefined) return bytes.file(place)
        throw new ControlError('unknown_artifact', `the file ${digest} of ${app} is lost: deploy the app again`)
      },
      close: bytes.close,
    }
  }

  /** It goes on being made; who waits is not left without an answer for longer than fetchers wait for one. */
  async function inTime(making: Promise<void>): Promise<void> {
    const over = new AbortController()
    const late = sleep(longestWaitMs, true, { signal: over.signal }).catch(() => false)
    const isLate = await Promise.race([making.then(() => false), late]).finally(() => over.abort())
    if (isLate) throw new ControlError('too_many', 'it is still being made: ask again in a few seconds')
  }

  async function open(app: AppName, digest: string, file: TreeFile): Promise<MadeFile> {
    const name = digest + (file === 'full' ? fullSuffix : file === 'index' ? indexSuffix : deltaSuffix(file.from))
    const key = `${app}/${file === 'index' ? digest + fullSuffix : name}`
    // Again where it went to make room before it was opened.
    for (let tries = 0; tries < 3; tries++) {
      const found = await blobs.findMade(app, name)
      if (found !== undefined) return found
      const making =
        underWay.get(key) ??
        (typeof file === 'string'
          ? oneFull(() => makeFull(app, digest))
          : fewDeltas(() => makeDelta(app, file.from, digest))
        ).finally(() => underWay.delete(key))
      underWay.set(key, making)
      await inTime(making)
    }
    throw new ControlError(
      'storage_unavailable',
      'what is made for pods goes before it is read: give the volume more room',
    )
  }

  return {
    open,
    prepare: (app, digest, from) =>
      void open(app, digest, { from }).then(
        (file) => file.close(),
        () => {},
      ),
  }
}
