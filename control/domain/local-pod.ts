// Without a cluster an app has one pod: the agents of this machine that follow its file. It is known under these names both
// where its token is looked up (store) and where it is seen (cluster/local).
import type { AppRef } from './ports.ts'

export function localPodOf({ namespace, app }: AppRef): { readonly uid: string; readonly name: string } {
  return { uid: `local/${namespace}/${app}`, name: `${app}-local` }
}
