// Trees of apps: which objects are lacking, those that come, and the artifact once it is whole. What another app has can be neither
// asked nor used: every object is the app's that sent it.
import { type Digest, digestFromHex, hexOf } from '@aether/contract/digest'
import { findApp } from './apps.ts'
import { ControlError } from './errors.ts'
import type { AppName, Artifact } from './model.ts'
import type { Store, TreeBlobs } from './ports.ts'
import type { Trees } from './services.ts'
import { type SignaturePolicy, verifyUpload } from './signature.ts'
import { openTreeBytes } from './tree-bytes.ts'
import { checkTree, type TreeCheckLimits } from './tree-check.ts'
import { createTreeFiles, type TreeFiles } from './tree-files.ts'
import { loadTree } from './tree-load.ts'
import { createTreeMemory, type HeldTree } from './tree-memory.ts'
import { reachFrom } from './tree-reach.ts'
import { takeObjects, type UploadLimits } from './tree-upload.ts'
import { createTurns } from './turns.ts'

type TreeStore = Pick<
  Store,
  | 'findApp'
  | 'listKeys'
  | 'findArtifact'
  | 'findServed'
  | 'renewObjects'
  | 'findObjects'
  | 'addObjects'
  | 'addTree'
  | 'losePacks'
  | 'collectObjects'
  | 'listPacks'
  | 'listTrees'
  | 'listNamed'
  | 'removeArtifacts'
>

export interface TreePolicy extends SignaturePolicy, UploadLimits, TreeCheckLimits {}

export interface OwnTrees extends Trees {
  readonly files: TreeFiles
  /** The bytes of a folder object of the app that an artifact names. Undefined where there is none. */
  object(app: AppName, digest: Digest): Promise<Buffer | undefined>
  /** At the start, before anything else: brings packs and their rows together again. */
  recover(): Promise<void>
  /** Removes retired trees. What they alone led to is named no more, and goes as what was never named does. */
  remove(app: AppName, digests: readonly Digest[]): Promise<void>
  /** Removes what no artifact names and nobody asked for in so many seconds. */
  collect(seconds: number): Promise<void>
}

/** Of what is told to be lacking. */
const mostNamed = 3

export function createTrees(
  store: TreeStore,
  blobs: TreeBlobs,
  policy: TreePolicy,
  arrived: (app: AppName) => void,
): OwnTrees {
  const memory = createTreeMemory()
  // What a tree is found to lead to is not to lose its name before the tree has its own.
  const { run: inTurn } = createTurns()
  const openBytes = (app: AppName) => openTreeBytes(app, store, blobs, memory.forget)

  async function read(app: AppName, digest: string) {
    const bytes = openBytes(app)
    try {
      return await loadTree(app, digest, memory.of(app), store, bytes, policy.maxEntries)
    } finally {
      await bytes.close()
    }
  }

  async function load(app: AppName, digest: string): Promise<HeldTree> {
    return memory.find(app, digest) ?? inTurn(app, () => loadNamed(app, digest))
  }

  async function loadNamed(app: AppName, digest: string): Promise<HeldTree> {
    const artifact = await store.findServed(app, digestFromHex(digest))
    if (artifact?.kind !== 'tree') throw new ControlError('unknown_artifact', `${app} has no tree ${digest}`)
    const { tree, unnamed, lacking } = await read(app, digest)
    if (lacking.length > 0 || unnamed.length > 0) throw lost(app, digest)
    const { entries, bytes } = artifact
    const held = { ...tree, totals: entries === null ? undefined : { entries, bytes } }
    memory.keep(app, held)
    return held
  }

  async function addWhole(row: Omit<Artifact, 'createdAt' | 'kind' | 'entries' | 'bytes'>) {
    const { app, digest } = row
    const { tree, unnamed, lacking } = await read(app, hexOf(digest))
    if (lacking.length > 0)
      throw new ControlError(
        'incomplete',
        `${lacking.length} objects of ${digest} are lacking (${lacking.slice(0, mostNamed).join(', ')}${lacking.length > mostNamed ? ', ...' : ''}): send them first`,
      )
    const totals = await checkTree(
      tree,
      memory.of(app).find((one) => one.totals !== undefined),
      policy,
    )
    const added = await store.addTree({ ...row, kind: 'tree', ...totals }, unnamed)
    memory.keep(app, { ...tree, totals })
    arrived(app)
    return added
  }

  return {
    async lacking(app, digests) {
      await findApp(store, app)
      await store.renewObjects(app, digests)
      const there = new Map((await store.findObjects(app, digests)).map((place) => [place.digest, place]))
      return {
        lacking: digests.filter((digest) => !there.has(digest)),
        unproven: digests.filter((digest) => {
          const place = there.get(digest)
          return place?.kind === 'object' && !place.isNamed
        }),
      }
    },

    async take(app, body) {
      await findApp(store, app)
      return takeObjects(app, body, store, blobs, policy)
    },

    async register({ app, digest, signature, commit, by }) {
      await findApp(store, app)
      const signed = await verifyUpload(store, { app, digest, signature }, policy, 'body.signature')
      const known = await store.findArtifact(app, digest)
      if (known?.kind === 'archive')
        throw new ControlError('conflict', `${digest} is an archive of ${app}, and cannot be a tree too`)
      return inTurn(app, () => addWhole({ app, digest, ...signed, commit, uploadedBy: by }))
    },

    files: createTreeFiles({ store, blobs, load, openBytes }),

    async object(app, digest) {
      const hex = hexOf(digest)
      const held = memory.find(app, hex)?.objects.get(hex)
      if (held !== undefined) return held
      const [place] = await store.findObjects(app, [hex])
      if (place?.kind !== 'object' || !place.isNamed) return undefined
      const bytes = openBytes(app)
      try {
        return Buffer.from(await bytes.object(place))
      } finally {
        await bytes.close()
      }
    },

    async recover() {
      const lostPacks = await blobs.recover(await store.listPacks())
      if (lostPacks.length > 0) await store.losePacks(lostPacks)
    },

    remove: (app, digests) =>
      inTurn(app, async () => {
        const kept = new Set(await store.listTrees(app))
        for (const digest of digests) kept.delete(digest)
        const bytes = openBytes(app)
        try {
          const led = await reachFrom(app, [...kept].map(hexOf), store, bytes)
          const named = await store.listNamed(app)
          await store.removeArtifacts(
            app,
            digests,
            named.filter((digest) => !led.has(digest)),
          )
        } finally {
          await bytes.close()
        }
        memory.forget(app)
      }),

    async collect(seconds) {
      for (const pack of await store.collectObjects(seconds)) await blobs.removePack(pack)
    },
  }
}

function lost(app: AppName, digest: string): ControlError {
  return new ControlError('unknown_artifact', `parts of the tree ${digest} of ${app} are lost: deploy it again`)
}
