// Which app is meant: the argument or flag, `.aether.json`, or the name in package.json.

import type { CommandContext } from '../basics/command.ts'
import { isAppName } from '../basics/dns-label.ts'
import { Failure } from '../basics/failure.ts'
import type { Settings } from '../basics/settings.ts'
import { loadProject } from '../release/project.ts'
import type { Connection } from './connect.ts'
import type { Deployment } from './shapes.ts'

export function appOf({ app }: Settings, packageName: string | undefined): string {
  const name = app?.value ?? packageName
  if (name !== undefined) return name
  throw new Failure('usage', 'the app has no name: package.json gives none', { next: 'say it by --app NAME' })
}

/** For a command that takes `[app]` and stands in some folder. */
export async function askedApp({ args, cwd }: CommandContext, settings: Settings): Promise<string> {
  const [given] = args
  if (given === undefined) return settings.app?.value ?? appOf(settings, (await loadProject(cwd)).appName)
  if (isAppName(given)) return given
  throw new Failure('usage', `${JSON.stringify(given.slice(0, 80))} is no name of an app`, {
    next: 'aether list shows the names there are',
  })
}

/** The live deployment of an app; a Failure that says what to do where there is none. */
export async function liveDeployment({ control, settings }: Connection, app: string): Promise<Deployment> {
  const namespace = settings.namespace.value
  const live = await control.findLive(app, namespace)
  if (live !== undefined) return live
  throw new Failure('failed', `${app} is not deployed in namespace ${namespace}`, {
    next: 'aether list shows what is deployed where; aether deploy deploys it',
  })
}
