// aether apps: an app is registered once, with the keys that its releases are signed by.
import { resolve } from 'node:path'
import type { CommandDefinition } from '../basics/command.ts'
import { isAppName } from '../basics/dns-label.ts'
import { Failure } from '../basics/failure.ts'
import { formatTable } from '../basics/table.ts'
import { withControl } from '../control/connect.ts'
import { addKeys, loadPublicKeys } from './keys-commands.ts'

export const appsCreate: CommandDefinition = {
  usage: 'apps create <name>',
  summary: 'register an app with control',
  about:
    'Registers an app, once. The name is that of its Deployment and Service in the cluster: lower-case letters, digits and -. ' +
    'With --key control takes only artifacts that are signed by that key (or one added later). Doing it again changes nothing.',
  options: [['--key <file...>', 'file of a public key to trust (may be repeated)']],
  examples: ['aether apps create shop --key aether-signing.pub.pem', 'aether apps create playground'],
  async run(context) {
    const [name = ''] = context.args
    if (!isAppName(name))
      throw new Failure('usage', `${JSON.stringify(name.slice(0, 80))} is no name for an app`, {
        next: 'write lower-case letters, digits and - in between, at most 40',
      })
    const files = context.flags.list('key')
    const keys = await Promise.all(
      files.map(async (file) => ({ file, keys: await loadPublicKeys(resolve(context.cwd, file)) })),
    )
    return withControl(context, async ({ control }) => {
      await control.createApp(name)
      context.output.line(`app ${name} is registered`)
      const ids: string[] = []
      for (const one of keys) ids.push(...(await addKeys(control, name, one.keys, one)))
      for (const id of ids) context.output.line(`${name} trusts key ${id}`)
      if (ids.length === 0) context.output.warn(`${name} has no key from here: aether keys add ${name} FILE adds one`)
      return { name, keys: ids }
    })
  },
}

export const appsList: CommandDefinition = {
  usage: 'apps list',
  summary: 'list the registered apps',
  about: 'Lists the apps that control knows, whether they are deployed or not (aether list shows what is).',
  options: [],
  examples: ['aether apps list', 'aether apps list --output json'],
  async run(context) {
    return withControl(context, async ({ control }) => {
      const apps = await control.listApps()
      const rows = apps.map(({ value }) => [value.name, value.createdAt])
      if (rows.length === 0) context.output.line('there are no apps: aether apps create NAME makes one')
      else for (const line of formatTable(['APP', 'CREATED'], rows)) context.output.line(line)
      return { items: apps.map(({ raw }) => raw) }
    })
  },
}
