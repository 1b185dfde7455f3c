// The trees of a folder as `aether dev` serves them to agents: each save has a URL of its own. Nothing is written: a delta is made
// when it is asked for, and the full pack for who has nothing that we know.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { writeDelta } from '@aether/artifact/delta-write'
import { createFullPack } from '@aether/artifact/full-pack'
import type { NextTree } from '@aether/artifact/incremental-tree'
import { deltaSuffix, fullSuffix } from '@aether/artifact/store-names'
import { buildTree } from '@aether/artifact/tree-build'
import { readSource } from '@aether/artifact/tree-source'
import { type Digest, digestFromHex } from '@aether/contract/digest'
import type { DevTree } from './dev-tree.ts'

export interface StoredRelease {
  readonly digest: Digest
  /** Of its URL. */
  readonly path: string
}

export interface DevStore {
  /** The tree of what the folder holds now. */
  add(tree: DevTree): Promise<StoredRelease>
  /** Answers GET of a release and of what belongs to it. */
  answer(request: IncomingMessage, response: ServerResponse): void
}

/** So many releases can be asked for, and be what a delta begins from: pods follow within one or two. */
const mostReleases = 16

export function createDevStore(app: string): DevStore {
  /** By path; the last ones. The bytes of files are those of the last alone. */
  const releases = new Map<string, NextTree>()
  let folder = ''
  let count = 0

  async function send(response: ServerResponse, write: (put: (part: Uint8Array) => Promise<void>) => Promise<void>) {
    response.writeHead(200, { 'content-type': 'application/octet-stream' })
    await write(async (part) => {
      if (response.destroyed) throw new Error('who asked has left')
      // The builder's bytes are its own again when this returns.
      if (response.write(Buffer.from(part))) return
      await new Promise<void>((resolve) => {
        response.once('drain', resolve).once('close', resolve)
      })
    })
    response.end()
  }

  async function give(path: string, response: ServerResponse): Promise<void> {
    const [, root = '', suffix = ''] = /^(\/\d+\/[^/]+?\.tree)(\..+)?$/.exec(path) ?? []
    const tree = releases.get(root)
    const from = [...releases.values()].find((one) => suffix === deltaSuffix(one.digest))
    if (tree === undefined) response.writeHead(404).end('there is no such release any more\n')
    else if (suffix === '') response.end(tree.objects.get(tree.digest))
    else if (from !== undefined) await send(response, (put) => writeDelta(from, tree, tree.contents, put))
    else if (suffix === fullSuffix) await send(response, (put) => writeFull(tree, put))
    else response.writeHead(404).end('there is no such part of it\n')
  }

  async function writeFull(tree: NextTree, put: (part: Uint8Array) => Promise<void>): Promise<void> {
    const pack = createFullPack(put)
    const { digest } = await buildTree(readSource(folder), pack)
    if (digest !== tree.digest) throw new Error('the folder has changed since')
    await pack.end()
  }

  return {
    async add(tree) {
      folder = tree.path
      const built = await tree.build()
      count += 1
      // In no two starts the same: what is written again is tried again.
      const path = `/${Date.now()}${String(count).padStart(6, '0')}/${app}.tree`
      releases.set(path, built)
      for (const old of [...releases.keys()].slice(0, -mostReleases)) releases.delete(old)
      return { digest: digestFromHex(built.digest), path }
    },
    answer(request, response) {
      if (request.method !== 'GET') {
        response.writeHead(405).end()
        return
      }
      // What was promised and cannot be kept ends in the middle: nobody takes it for whole.
      give(request.url ?? '', response).catch(() => response.destroy())
    },
  }
}
