// docs/contract.md against the code, and against --help of the agents as real processes.
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'tap'
import { annotations } from './annotations.ts'
import { suiteNames } from './env-names.ts'
import { cliExitCodes, exitCodes } from './exit-codes.ts'
import { metrics } from './metric-names.ts'
import { ReasonError, reasons, refusal, retryRuleOf, toReasonError } from './reasons.ts'

const text = readFileSync(new URL('../docs/contract.md', import.meta.url), 'utf8')

/** The rows of the first table below a heading whose header begins with `first`; cells as they are written. */
function tableOf(first: string): string[][] {
  const lines = text.split('\n')
  const start = lines.findIndex((line) => line.startsWith(`| ${first} |`))
  const end = lines.findIndex((line, at) => at > start && !line.startsWith('|'))
  const rows = lines.slice(start + 2, end)
  return rows.map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}
const code = (words: readonly string[]) => words.map((word) => `\`${word}\``).join(' ')
const bare = (cell: string | undefined) => (cell ?? '').replaceAll('`', '')

await test('the reasons table of the docs is the one of the code', async (t) => {
  const rows = Object.entries(reasons).map(([reason, { exitCode, retry, retryOf = {}, details, doc }]) => [
    code([reason]),
    String(exitCode),
    [retry, ...Object.entries(retryOf).map(([detail, rule]) => `\`${detail}\`: ${rule}`)].join(', '),
    code(details),
    doc,
  ])
  t.strictSame(tableOf('reason'), rows)
  const rules = new Set(Object.values(reasons).map(({ retry }) => code([retry])))
  t.strictSame(new Set(tableOf('retry').map(([rule]) => rule)), rules)
})

await test('a retry rule of a detail is one of a detail that there is', async (t) => {
  for (const { details, retryOf = {} } of Object.values(reasons))
    for (const detail of Object.keys(retryOf)) t.ok(details.includes(detail), detail)
  t.equal(retryRuleOf({ reason: 'download', detail: 'address_refused' }), 'slow')
  t.equal(retryRuleOf({ reason: 'download', detail: 'timeout' }), 'backoff')
})

await test('each reason has an exit code of its own, apart from those of every command', async (t) => {
  const codes = Object.values(reasons).map(({ exitCode }) => exitCode)
  t.equal(new Set(codes).size, codes.length)
  t.ok(codes.every((number) => number >= 10 && number < 126))
  for (const reason of ['download', 'checksum', 'signature', 'extract', 'rate_limit', 'anomaly'])
    t.ok(reason in reasons)
  const documented = tableOf('code').flatMap(([number, name]) => (name === '' ? [] : [[bare(name), Number(number)]]))
  t.strictSame(Object.fromEntries(documented), exitCodes)
  t.strictSame(
    Object.fromEntries(tableOf('exit of aether').map(([number, name]) => [bare(name), Number(number)])),
    cliExitCodes,
  )
})

await test('an error keeps its reason, and anything else is internal with its cause', async (t) => {
  const error = refusal('download', 'timeout', 'too slow')
  t.equal(toReasonError(error), error)
  const cause = new TypeError('x is undefined')
  t.match(toReasonError(cause), { reason: 'internal', detail: 'unexpected', message: /x is undefined/, cause })
  t.match(toReasonError('a string'), { reason: 'internal', message: /a string/ })
  t.ok(toReasonError(undefined) instanceof ReasonError)
})

await test('the metrics of the docs are those of the code, with their labels', async (t) => {
  t.strictSame(
    tableOf('metric'),
    Object.values(metrics).map(({ name, labels, help }) => [code([name]), code(labels), help]),
  )
  for (const { name } of Object.values(metrics)) t.match(name, /^(dev_hot|aether|http|deployments?)_[a-z_]+$/)
})

await test('the annotations of the docs are those of the code', async (t) => {
  t.strictSame(
    tableOf('annotation').map(([name]) => bare(name)),
    Object.values(annotations),
  )
})

/** What an agent reads, by its own word: name and default. */
function settingsOf(agent: string): ReadonlyMap<string, string> {
  const folder = agent === 'control' ? agent : `agents/${agent}`
  const main = new URL(`../${folder}/main.ts`, import.meta.url).pathname
  const help = execFileSync(process.execPath, [main, '--help'], { env: {}, encoding: 'utf8' })
  return new Map(
    [...help.matchAll(/^ {2}--\S+ \S+, (\w+)(?: \(default (.*)\))?$/gm)].map(([, name = '', preset = '']) => [
      name,
      preset,
    ]),
  )
}

await test('the environment of the docs is what the agents say in --help, with the same defaults', async (t) => {
  const agents = ['fetcher', 'init-fetch', 'supervisor', 'control']
  const settings = new Map(agents.map((agent) => [agent, settingsOf(agent)]))
  for (const [agent, read] of settings) t.ok(read.size > 10, `${agent} reads ${read.size}`)
  const documented = new Map(
    tableOf('variable').map(([name, preset, readers]) => [bare(name), { preset: bare(preset), readers }]),
  )
  for (const [agent, read] of settings)
    for (const [name, preset] of read) {
      const row = documented.get(name)
      const presets = new Map(
        row?.preset
          .split(', ')
          .map((one) => one.split(': '))
          .map(([who = '', value]) => [value === undefined ? agent : who, value ?? who]),
      )
      t.equal(presets.get(agent), preset, `${agent} reads ${name}`)
      t.ok(row?.readers?.split(', ').includes(agent), `the docs say that ${agent} reads ${name}`)
    }
  for (const [name, { readers = '' }] of documented)
    for (const agent of readers.split(', '))
      t.ok(agent === 'ed25519-verify' || settings.get(agent)?.has(name), `${agent} does read ${name}`)

  const given = [...text.matchAll(/^\| `(AETHER_\w+)` \|/gm)].map(([, name = '']) => name)
  t.strictSame([...new Set(given)].toSorted(), [...suiteNames].toSorted(), 'env-names.ts has them all, and no other')
})

await test('the environment of aether in the docs is what its --help says, with the same defaults', async (t) => {
  const main = new URL('../cli/main.ts', import.meta.url).pathname
  const help = execFileSync(process.execPath, [main, '--help'], { env: {}, encoding: 'utf8' })
  const said = [...help.matchAll(/^ {2}((?:AETHER_|NO_|XDG_)\w+) .*?(?: \(default (.*)\))?$/gm)]
  t.strictSame(
    tableOf('variable of aether').map(([name, preset]) => [bare(name), bare(preset)]),
    said.map(([, name = '', preset = '']) => [name, preset]),
  )
})

await test('a fetch mode that the docs leave out is refused with those there are', async (t) => {
  const main = new URL('../agents/fetcher/main.ts', import.meta.url).pathname
  const { status, stderr } = spawnSync(process.execPath, [main, '--fetch-mode', 'push'], { env: {}, encoding: 'utf8' })
  t.equal(status, exitCodes.usage)
  t.match(stderr, 'AETHER_FETCH_MODE (--fetch-mode) is "push": write one of watch, poll, file')
})
