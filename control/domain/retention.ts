// How long artifacts stay, app by app:
//  1 what nobody uses is retired: no deployment gets it any more, and who uploads it sends it again
//  2 what was retired for a while is removed; pods that were on their way to it have it by then, or control has seen that it is used
import type { Log } from '@aether/runtime/log'
import type { OwnArtifacts } from './artifacts.ts'
import type { AppName } from './model.ts'
import type { Store } from './ports.ts'
import type { OwnTrees } from './trees.ts'

export interface RetentionRule {
  /** Artifacts of an app that stay, those sent last, beside those in use; null: all. */
  readonly keep: number | null
  /** How long one stays that was sent and is not used yet. */
  readonly freshSeconds: number
  readonly retiredSeconds: number
}

type Retired = Pick<Store, 'listApps' | 'retireArtifacts' | 'listRetired'>

/** What goes wrong with one app is said, and keeps no other from its turn. */
export async function retainArtifacts(
  store: Retired,
  artifacts: Pick<OwnArtifacts, 'remove'>,
  trees: Pick<OwnTrees, 'remove'>,
  rule: RetentionRule,
  log: Pick<Log, 'info' | 'warn'>,
): Promise<void> {
  for await (const app of appsOf(store)) {
    try {
      const removed = await retainOf(app, store, artifacts, trees, rule)
      if (removed > 0) log.info({ app, artifacts: removed }, 'artifacts that nobody uses were removed')
    } catch (err) {
      log.warn({ err, app }, 'artifacts that nobody uses could not be removed; again later')
    }
  }
}

async function retainOf(
  app: AppName,
  store: Retired,
  artifacts: Pick<OwnArtifacts, 'remove'>,
  trees: Pick<OwnTrees, 'remove'>,
  { keep, freshSeconds, retiredSeconds }: RetentionRule,
): Promise<number> {
  await store.retireArtifacts(app, keep, freshSeconds) // 1
  const gone = await store.listRetired(app, retiredSeconds) // 2
  for (const { kind, digest } of gone) if (kind === 'archive') await artifacts.remove(app, digest)
  const roots = gone.filter(({ kind }) => kind === 'tree').map(({ digest }) => digest)
  if (roots.length > 0) await trees.remove(app, roots)
  return gone.length
}

async function* appsOf(store: Pick<Store, 'listApps'>): AsyncGenerator<AppName> {
  for (let after: string | null = null; ; ) {
    const { items, next }: Awaited<ReturnType<Store['listApps']>> = await store.listApps({ limit: 100, after })
    for (const { name } of items) yield name
    if (next === null) return
    after = next
  }
}
