// Control for the time of one piece of work, by the settings of the folder.

import type { CommandContext } from '../basics/command.ts'
import { loadSettings, type Settings } from '../basics/settings.ts'
import { version } from '../basics/version.ts'
import { type Control, createControl } from './control.ts'
import { createHttp } from './http.ts'

export interface Connection {
  readonly control: Control
  readonly settings: Settings
}

/** `folder` is the one whose `.aether.json` counts. */
export async function withControl<T>(
  { flags, env, output, cwd, signal }: CommandContext,
  work: (connection: Connection) => Promise<T>,
  folder = cwd,
): Promise<T> {
  const settings = await loadSettings(flags, env, folder, output.warn)
  const { url, token } = settings
  if (token !== undefined && url.value.protocol === 'http:' && !isLoopback(url.value.hostname))
    output.warn(`the token goes to ${url.value.host} unencrypted: use https outside a trusted network`)
  const control = createControl(createHttp({ url, token, signal, userAgent: `aether/${version}` }))
  try {
    return await work({ control, settings })
  } finally {
    await control.close()
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host)
}
