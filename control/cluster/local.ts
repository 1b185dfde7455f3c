// The port Cluster with no Kubernetes: a folder an app, <folder>/<namespace>/<app>/, whose file `annotations` is the
// authority (the downward-API format, so a fetcher in mode `file` follows it, and any program may write it) and whose
// file `token` is what the app's agents show to control.
import { createHash } from 'node:crypto'
import { mkdir, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type FolderWatch, watchFolder } from '@aether/runtime/watch-folder'
import { ControlError } from '../domain/errors.ts'
import { localPodOf } from '../domain/local-pod.ts'
import type { AppName } from '../domain/model.ts'
import type { AppRef, AppView, Cluster, TargetAnnotations } from '../domain/ports.ts'
import { createTurns } from '../domain/turns.ts'
import {
  foldersIn,
  isLabel,
  localFilesOf,
  makeToken,
  readAnnotations,
  readSettled,
  readText,
  targetOf,
  writeTarget,
} from './local-files.ts'

export interface LocalOptions {
  readonly folder: string
  /** The store's: makes this token the one of the app's agents. */
  readonly setAgentToken: (sha256: string, namespace: string, app: AppName) => Promise<void>
  /** Between looks that no event of the file system asked for. */
  readonly intervalMs: number
}

interface LocalApp {
  readonly ref: AppRef
  readonly watch: FolderWatch
  /** What the file says; undefined before the first look. */
  text: string | undefined
  target: TargetAnnotations
}

const none: TargetAnnotations = { digest: null, artifactUrl: null, signature: null, commit: null }

export function createLocalCluster({ folder, setAgentToken, intervalMs }: LocalOptions): Cluster {
  const apps = new Map<string, LocalApp>()
  const turns = createTurns()
  let told: ((ref: AppRef) => void) | undefined
  const faults = new Map<string, string>()
  let isFollowed = false

  const keyOf = ({ namespace, app }: AppRef) => `${namespace}/${app}`

  /** One at a time for each app, reads and writes. */
  const inTurn = (ref: AppRef, work: () => Promise<void>) => turns.run(keyOf(ref), work)

  /** Takes up what the file says now; the app is forgotten where it is gone. */
  async function look(ref: AppRef): Promise<void> {
    const one = apps.get(keyOf(ref))
    if (one === undefined) return
    const path = localFilesOf(folder, ref).annotations
    const text = (await readAnnotations(path)) === one.text ? one.text : await readSettled(path)
    if (text === undefined) {
      forget(ref)
      told?.(ref)
    } else if (text !== one.text) {
      one.text = text
      one.target = targetOf(text)
      told?.(ref)
    }
  }

  /** What cannot be read is a fault until it can; the last target stays. */
  async function lookInTurn(ref: AppRef): Promise<void> {
    try {
      await inTurn(ref, () => look(ref))
      faults.delete(keyOf(ref))
    } catch (error) {
      faults.set(keyOf(ref), `the target of ${keyOf(ref)} cannot be read: ${messageOf(error)}`)
    }
  }

  function follow(ref: AppRef): void {
    if (apps.has(keyOf(ref))) return
    const watch = watchFolder(localFilesOf(folder, ref).folder, intervalMs, () => lookInTurn(ref))
    apps.set(keyOf(ref), { ref, watch, text: undefined, target: none })
  }

  function forget(ref: AppRef): void {
    apps.get(keyOf(ref))?.watch.close()
    apps.delete(keyOf(ref))
    faults.delete(keyOf(ref))
  }

  return {
    async apply({ namespace, app }, first) {
      const ref = { namespace, app }
      await answered(ref, () =>
        inTurn(ref, async () => {
          const files = localFilesOf(folder, ref)
          await mkdir(files.folder, { recursive: true })
          const token = (await readText(files.token)) ?? (await makeToken(files.token))
          // Each time, so that a database which lost it has it again.
          await setAgentToken(createHash('sha256').update(token).digest('hex'), namespace, app)
          if ((await readAnnotations(files.annotations)) === undefined) await writeTarget(files.annotations, first)
          follow(ref)
          await look(ref)
        }),
      )
    },
    async setTarget(ref, target, _devHot, over) {
      await answered(ref, () =>
        inTurn(ref, async () => {
          const path = localFilesOf(folder, ref).annotations
          if ((await readAnnotations(path)) === undefined)
            throw new ControlError('cluster_refused', `there is no app ${keyOf(ref)} in the folder of the targets`)
          if (over !== undefined && targetOf((await readSettled(path)) ?? '').digest !== over)
            throw new ControlError('changed_meanwhile', `the annotations of ${keyOf(ref)} have another digest by now`)
          await writeTarget(path, target)
          await look(ref)
        }),
      )
    },
    // The one pod has the app's own file.
    async annotatePod() {},
    async remove(ref) {
      await answered(ref, () =>
        inTurn(ref, async () => {
          forget(ref)
          await rm(localFilesOf(folder, ref).folder, { recursive: true, force: true })
          // Where it was the last one of the namespace.
          await rmdir(join(folder, ref.namespace)).catch(() => undefined)
          told?.(ref)
        }),
      )
    },
    view(ref): AppView | undefined {
      const one = apps.get(keyOf(ref))
      if (one?.text === undefined) return undefined
      const { target } = one
      const pod = { ...localPodOf(ref), isReady: true, isTerminating: false, target, fault: null }
      return { ref, target, templateTarget: target, replicas: 1, isRolledOut: true, fault: null, pods: [pod] }
    },
    // Agents on this machine show a token that the store knows.
    async identify() {
      return undefined
    },
    async start(changed) {
      await mkdir(folder, { recursive: true })
      for (const namespace of await foldersIn(folder))
        for (const app of await foldersIn(join(folder, namespace))) {
          const ref = { namespace, app }
          follow(ref)
          await lookInTurn(ref)
        }
      told = changed
      isFollowed = true
      for (const { ref } of apps.values()) changed(ref)
    },
    async stop() {
      told = undefined
      for (const { ref } of apps.values()) forget(ref)
      await turns.ended()
    },
    fault: () => (isFollowed ? ([...faults.values()][0] ?? null) : 'the folder of the targets is not followed yet'),
  }
}

async function answered({ namespace, app }: AppRef, work: () => Promise<void>): Promise<void> {
  // Both become parts of a path.
  for (const [field, name] of Object.entries({ namespace, app }))
    if (!isLabel(name))
      throw new ControlError('malformed', `${field} is ${JSON.stringify(name.slice(0, 80))}: write a DNS label`, {
        field,
      })
  try {
    await work()
  } catch (error) {
    if (error instanceof ControlError) throw error
    throw new ControlError('cluster_unavailable', `the folder of the targets cannot be used: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
