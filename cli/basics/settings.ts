// Where a setting comes from: flag, environment, the app's `.aether.json`, the user's file, default; the first that has it.
import { homedir } from 'node:os'
import { join } from 'node:path'
import { strangeNames } from '@aether/contract/env-names'
import { loadProjectFile, loadUserFile, projectFileName } from './config-file.ts'
import { isAppName, isDnsLabel } from './dns-label.ts'
import { Failure } from './failure.ts'
import type { Flags } from './flags.ts'

export type Env = Readonly<Record<string, string | undefined>>

/** A value and where it was written, for errors. */
export interface Setting<T> {
  readonly value: T
  readonly source: string
}

export interface Settings {
  readonly url: Setting<URL>
  readonly token: Setting<string> | undefined
  /** PEM, or the path of one. */
  readonly signingKey: Setting<string> | undefined
  readonly namespace: Setting<string>
  readonly app: Setting<string> | undefined
  readonly environment: Setting<string> | undefined
  readonly readyPath: Setting<string> | undefined
  readonly port: Setting<number> | undefined
  readonly devHot: boolean
  /** Where aether dev runs the app. */
  readonly place: PlaceKind | undefined
}

export const placeKinds = ['control', 'pods', 'local'] as const
export type PlaceKind = (typeof placeKinds)[number]

const defaultUrl = 'http://127.0.0.1:8480'

/** What --help says of the environment; docs/contract.md is held against it. */
export const environmentHelp: readonly (readonly [name: string, text: string])[] = [
  ['AETHER_DEBUG', 'true prints the stack of an error too (default false)'],
  ['AETHER_NAMESPACE', 'namespace of the app (default default)'],
  ['AETHER_SIGNING_KEY', 'ed25519 private key in PEM, or the path of its file'],
  ['AETHER_TOKEN', 'token shown to control; it has no flag, because arguments can be read by others'],
  ['AETHER_URL', `where control answers (default ${defaultUrl})`],
  ['NO_COLOR', 'any value: no colours'],
  [
    'XDG_CACHE_HOME',
    'aether deploy keeps in aether/deploy in it what it installed and knows of files (default ~/.cache)',
  ],
  ['XDG_CONFIG_HOME', "the user's file is aether/config.json in it, beside the development key (default ~/.config)"],
  [
    'XDG_STATE_HOME',
    'aether dev keeps its lock files and the contexts it was used with in aether in it (default ~/.local/state)',
  ],
]

export function refuseStrangeNames(env: Env): void {
  const strange = strangeNames(Object.keys(env))
  if (strange.length > 0)
    throw new Failure('config', `the environment has ${strange.join(', ')}, which no part of aether knows`, {
      next: `unset ${strange.length === 1 ? 'it' : 'them'}, or correct the name (aether --help lists them)`,
    })
}

/** Of what is the user's own, and no project's. */
export function userFolder(env: Env): string {
  return join(env.XDG_CONFIG_HOME || join(env.HOME || homedir(), '.config'), 'aether')
}

/** Of what is remembered from one run to the next. */
export function stateFolder(env: Env): string {
  return join(env.XDG_STATE_HOME || join(env.HOME || homedir(), '.local/state'), 'aether')
}

/** `folder` is the one whose `.aether.json` counts. */
export async function loadSettings(
  flags: Flags,
  env: Env,
  folder: string,
  warn: (text: string) => void,
): Promise<Settings> {
  const projectPath = join(folder, projectFileName)
  const userPath = join(userFolder(env), 'config.json')
  const project = await loadProjectFile(projectPath)
  const user = await loadUserFile(userPath, warn)
  const flag = (name: string) => of(flags.text(name), `--${name}`)
  const variable = (name: string) => of(env[name] || undefined, name)

  const url = flag('url') ??
    variable('AETHER_URL') ??
    of(project.url, projectPath) ??
    of(user.url, userPath) ?? { value: defaultUrl, source: 'the default' }
  const token = variable('AETHER_TOKEN') ?? of(user.token, userPath)
  const settings: Settings = {
    url: { value: parseUrl(url), source: url.source },
    token,
    signingKey: variable('AETHER_SIGNING_KEY') ?? of(user.signingKey, userPath),
    namespace: label(
      flag('namespace') ??
        variable('AETHER_NAMESPACE') ??
        of(project.namespace, projectPath) ?? { value: 'default', source: 'the default' },
      'namespace',
    ),
    app: labelOrNone(flag('app') ?? of(project.app, projectPath), 'app'),
    environment: labelOrNone(flag('environment') ?? of(project.environment, projectPath), 'environment'),
    readyPath: readyPath(flag('ready-path') ?? of(project.readyPath, projectPath)),
    port: of(flags.count('port', portRange), '--port') ?? port(of(project.port, projectPath)),
    devHot: flags.choice('dev-hot') ?? project.devHot ?? false,
    place: placeKind(project.place, projectPath),
  }
  refuseLeak(settings, of(user.url, userPath), userPath, projectPath)
  return Object.freeze(settings)
}

const portRange = { min: 1, max: 65_535 }

/** A token of the user's file goes where that file says: not where the folder of somebody else's app does. */
function refuseLeak({ url, token }: Settings, own: Setting<string> | undefined, userPath: string, projectPath: string) {
  if (url.source !== projectPath || token?.source !== userPath) return
  const home = parseUrl(own ?? { value: defaultUrl, source: 'the default' })
  if (home.origin !== url.value.origin)
    throw new Failure(
      'config',
      `${projectPath} asks for ${url.value.origin}, and the token of ${userPath} is for ${home.origin}`,
      {
        next: `where you trust it, set AETHER_URL=${url.value.origin} or AETHER_TOKEN`,
      },
    )
}

function of<T>(value: T | undefined, source: string): Setting<T> | undefined {
  return value === undefined ? undefined : { value, source }
}

function parseUrl({ value, source }: Setting<string>): URL {
  const wrong = (what: string) =>
    new Failure(kindOf(source), `the URL of control (${source}) ${what}`, {
      next: `write it whole, as in ${defaultUrl}`,
    })
  if (!URL.canParse(value)) throw wrong('is none')
  const url = new URL(value)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw wrong('is neither http nor https')
  if (url.username !== '' || url.password !== '') throw wrong('carries credentials, which belong in AETHER_TOKEN')
  if (url.search !== '' || url.hash !== '') throw wrong('has a query or a fragment')
  if (!url.pathname.endsWith('/')) url.pathname += '/'
  return url
}

function label(setting: Setting<string>, what: string): Setting<string> {
  if (what === 'app' ? isAppName(setting.value) : isDnsLabel(setting.value)) return setting
  throw new Failure(
    kindOf(setting.source),
    `${what} (${setting.source}) is ${JSON.stringify(setting.value.slice(0, 80))}`,
    {
      next: 'write lower-case letters, digits and - in between, at most 63 of them (40 for an app)',
    },
  )
}

function labelOrNone(setting: Setting<string> | undefined, what: string): Setting<string> | undefined {
  return setting && label(setting, what)
}

function readyPath(setting: Setting<string> | undefined): Setting<string> | undefined {
  if (setting === undefined || /^\/[\x21-\x7e]*$/.test(setting.value)) return setting
  throw new Failure(kindOf(setting.source), `the ready path (${setting.source}) does not begin with /`, {
    next: 'write a path such as /healthz',
  })
}

function port(setting: Setting<number> | undefined): Setting<number> | undefined {
  if (setting === undefined) return undefined
  const { value } = setting
  if (Number.isInteger(value) && value >= portRange.min && value <= portRange.max) return setting
  throw new Failure('config', `${setting.source}: port is ${value}`, { next: 'write a whole number from 1 to 65535' })
}

function placeKind(value: string | undefined, source: string): PlaceKind | undefined {
  const found = placeKinds.find((kind) => kind === value)
  if (value === undefined || found !== undefined) return found
  throw new Failure('config', `${source}: place is ${JSON.stringify(value.slice(0, 80))}`, {
    next: `write one of ${placeKinds.join(', ')}`,
  })
}

function kindOf(source: string): 'usage' | 'config' {
  return source.startsWith('--') ? 'usage' : 'config'
}
