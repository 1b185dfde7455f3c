// How to start a release: from AETHER_APP_CMD, else package.json's scripts.start, its main, or server.js. No shell:
// words and quotes, variables in front, `.bin` names resolved to their JavaScript; everything else is refused.
import { closeSync, existsSync, openSync, readSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { isObject } from '@aether/contract/json'
import { refusal } from '@aether/contract/reasons'
import { readText } from './read-text.ts'

export interface AppCommand {
  readonly file: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

/** Throws ReasonError `unhealthy`, detail `command`, with the remedy. `release` is the real path of the release. */
export function resolveAppCommand(release: string, setting: string | undefined): AppCommand {
  if (setting !== undefined) return resolveWords(release, setting, 'AETHER_APP_CMD')
  const manifest = readManifest(release)
  const scripts = manifest.scripts
  if (isObject(scripts) && typeof scripts.start === 'string')
    return resolveWords(release, scripts.start, "package.json's scripts.start")
  const main = typeof manifest.main === 'string' ? manifest.main : 'server.js'
  if (existsSync(join(release, main))) return { file: process.execPath, args: [join(release, main)], env: {} }
  throw refused(
    'the release has no start command: set AETHER_APP_CMD, or give its package.json scripts.start or main, or add server.js',
  )
}

/** The command of package.json's `aether.beforeServe`; undefined where the release has none. Throws as above. */
export function resolveHook(release: string): AppCommand | undefined {
  const { aether } = readManifest(release)
  if (!isObject(aether) || aether.beforeServe === undefined) return undefined
  const from = "package.json's aether.beforeServe"
  if (typeof aether.beforeServe !== 'string') throw refused(`${from} is no string: write one plain command`)
  return resolveWords(release, aether.beforeServe, from)
}

function resolveWords(release: string, text: string, from: string): AppCommand {
  const words = splitWords(text, from)
  const env: Record<string, string> = {}
  while (words[0] !== undefined && /^[A-Za-z_][A-Za-z0-9_]*=/.test(words[0])) {
    const word = words.shift() ?? ''
    env[word.slice(0, word.indexOf('='))] = word.slice(word.indexOf('=') + 1)
  }
  const [program, ...args] = words
  if (program === undefined) throw refused(`${from} is ${JSON.stringify(text)}, which starts nothing`)
  if (program === 'node') return { file: process.execPath, args, env }
  if (program.includes('/'))
    return byPath(realPathOf(join(program.startsWith('/') ? '/' : release, program)), program, args, env, from)
  const shim = realPathOf(join(release, 'node_modules', '.bin', program))
  if (shim === undefined)
    throw refused(
      `${from} starts ${JSON.stringify(program)}, which is neither node, a path, nor in node_modules/.bin: write \`node file.js\``,
    )
  return byPath(shim, program, args, env, from)
}

function byPath(
  path: string | undefined,
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  from: string,
): AppCommand {
  if (path === undefined) throw refused(`${from} starts ${JSON.stringify(program)}, which is not in the release`)
  if (/\.[cm]?[jt]s$/.test(path) || startsWithNode(path)) return { file: process.execPath, args: [path, ...args], env }
  return { file: path, args, env }
}

/** Splits into words as a POSIX shell does, for plain words and quotes only (XCU 2.2); operators are refused. */
function splitWords(text: string, from: string): string[] {
  const words: string[] = []
  let word: string | undefined
  let quote = ''
  for (let at = 0; at < text.length; at++) {
    const char = text[at] ?? ''
    if (quote !== '') {
      if (char === quote) quote = ''
      else if (quote === '"' && char === '\\' && /["\\$`]/.test(text[at + 1] ?? ''))
        word = (word ?? '') + (text[++at] ?? '')
      else if (quote === '"' && (char === '$' || char === '`')) throw noShell(text, char, from)
      else word = (word ?? '') + char
    } else if (char === "'" || char === '"') {
      quote = char
      word ??= ''
    } else if (char === '\\') word = (word ?? '') + (text[++at] ?? '')
    else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else if (/[|&;<>()$`*?#~]/.test(char)) throw noShell(text, char, from)
    else word = (word ?? '') + char
  }
  if (quote !== '') throw refused(`${from} is ${JSON.stringify(text)}: a ${quote} is not closed`)
  if (word !== undefined) words.push(word)
  return words
}

function noShell(text: string, char: string, from: string) {
  return refused(
    `${from} is ${JSON.stringify(text)}: ${JSON.stringify(char)} needs a shell, and the app is started without one; write one plain command such as \`node server.js\``,
  )
}

function refused(message: string) {
  return refusal('unhealthy', 'command', message)
}

function readManifest(release: string): Record<string, unknown> {
  const text = readText(join(release, 'package.json')) ?? '{}'
  try {
    const value: unknown = JSON.parse(text)
    if (isObject(value)) return value
  } catch {
    throw refused('package.json of the release is not JSON')
  }
  throw refused('package.json of the release is not a JSON object')
}

function startsWithNode(path: string): boolean {
  let file: number | undefined
  try {
    file = openSync(path, 'r')
    // The program may be a binary of a hundred megabytes.
    const start = Buffer.alloc(200)
    return /^#!.*\bnode\b/.test(start.toString('utf8', 0, readSync(file, start, 0, start.length, 0)))
  } catch {
    return false
  } finally {
    if (file !== undefined) closeSync(file)
  }
}

function realPathOf(path: string): string | undefined {
  try {
    return realpathSync(path)
  } catch {
    return undefined
  }
}
