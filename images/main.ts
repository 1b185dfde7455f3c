// `npm run images`: reads what is asked for and does it. Exit codes: 0 done, 1 failed; with --check 0 nothing is newer, 1
// something is, 2 it could not be found out.
import { join, resolve } from 'node:path'
import { buildImages } from './build.ts'
import { root } from './bundles.ts'
import { endedLines, findNewer, formatFindings, pullSboms, readSboms } from './check.ts'
import { pinNewest } from './node-newest.ts'
import { type Options, parseOptions, usage } from './options.ts'
import { pushImages } from './push.ts'
import { openRegistry } from './registry.ts'
import { formatMade, formatPushed, rowsOf } from './report.ts'

const published = ['aether-agent', 'aether-nodejs', 'aether-control']
const progress = (line: string) => console.error(`images: ${line}`)

async function build(options: Options): Promise<number> {
  const made = await buildImages(options)
  if (options.push === undefined || !options.isJson)
    console.log(options.isJson ? JSON.stringify(rowsOf(made)) : formatMade(made))
  if (options.push === undefined) return 0
  const { host, prefix } = placeOf(options.push)
  const registry = await openRegistry(host, options.isPlainHttp, process.env)
  const pushed = await pushImages(registry, prefix, made, progress)
  console.log(options.isJson ? JSON.stringify({ images: rowsOf(made), pushed }) : formatPushed(pushed))
  return 0
}

async function check(options: Options): Promise<number> {
  const findings = await findNewer(await sbomsOf(options))
  const newer = findings.filter(({ isOld }) => isOld).length
  const ended = endedLines(findings, new Date())
  if (options.isJson) console.log(JSON.stringify({ newer, ended, packages: findings }))
  else console.log([formatFindings(findings), ...ended, `${newer} of ${findings.length} have a newer patch`].join('\n'))
  return newer > 0 ? 1 : 0
}

async function sbomsOf(options: Options) {
  if (options.from === undefined) return readSboms(join(resolve(root, options.out), 'images'))
  const { host, prefix } = placeOf(options.from)
  const registry = await openRegistry(host, options.isPlainHttp, process.env)
  const all = await pullSboms(
    registry,
    published.map((name) => `${prefix}${name}`),
    options.tag,
  )
  for (const line of options.lines)
    all.push(...(await pullSboms(registry, [`${prefix}aether-nodejs`], `${line}-slim-${options.tag}`)))
  return all
}

async function pin(): Promise<number> {
  const changes = await pinNewest()
  console.log(changes.length === 0 ? 'every pinned Node is the newest of its line' : changes.join('\n'))
  return 0
}

/** `registry.example/team` in its parts: the prefix ends with a slash, or is empty. */
function placeOf(name: string): { readonly host: string; readonly prefix: string } {
  const [host = '', ...path] = name.split('/')
  return { host, prefix: path.map((part) => `${part}/`).join('') }
}

// Whatever goes wrong with --check, it is not the answer that something is newer.
const failed = process.argv.includes('--check') ? 2 : 1
try {
  const options = parseOptions(process.argv.slice(2), process.env['SOURCE_DATE_EPOCH'])
  if (options === undefined) console.log(usage)
  else process.exitCode = await { build, check, pin }[options.task](options)
} catch (error) {
  console.error(`images: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = failed
}
