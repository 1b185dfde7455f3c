// aether deploy of an app that no compression makes smaller: the most memory that the command and control ever held, beside
// what they hold when they move no bytes. Control stands on a PostgreSQL, since the embedded database has its own memory.
import { randomBytes } from 'node:crypto'
import { appendFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { annotations } from '@aether/contract/annotations'
import { agentPaths, formatOutcome } from '@aether/contract/control-api'
import { parseDigest } from '@aether/contract/digest'
import { parsePodinfo } from '@aether/contract/podinfo'
import { formatRows } from '@aether/e2e/kit/report'
import { type BenchOptions, type BenchRow, lessIsBetter, round } from '../bench.ts'
import { type Running, start } from '../processes.ts'

const sizesMb = [3, 300]
const mebibyte = 1024 * 1024
const token = randomBytes(16).toString('hex')

interface Peaks {
  readonly control: number
  readonly cli: number
}

export async function benchUpload({ say, isJson }: BenchOptions): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'aether-bench-'))
  const postgres = start('control/store/test-postgres-process.ts', [], {})
  try {
    const databaseUrl = await postgres.line('postgres://')
    const rows: BenchRow[] = []
    for (const megabytes of sizesMb) {
      const { idle, busy } = await measure(join(folder, String(megabytes)), databaseUrl, megabytes)
      const names = { case: `${megabytes} MB`, peer: 'idle', unit: 'MB' }
      rows.push(
        lessIsBetter({
          ...names,
          measure: 'control rss',
          ours: round(busy.control, 1),
          theirs: round(idle.control, 1),
        }),
        lessIsBetter({ ...names, measure: 'cli rss', ours: round(busy.cli, 1), theirs: round(idle.cli, 1) }),
      )
      say(`${megabytes} MB: control ${busy.control.toFixed(1)} MB, cli ${busy.cli.toFixed(1)} MB`)
    }
    const table = formatRows(
      rows.map(({ case: size, measure: what, ours, theirs }) => ({
        case: size,
        measure: what,
        peak_mb: ours,
        idle_mb: theirs,
      })),
    )
    if (isJson) for (const line of table) say(line)
    else console.log(table.join('\n'))
    if (isJson) console.log(JSON.stringify({ name: 'upload', rows }))
  } finally {
    await postgres.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

async function measure(
  folder: string,
  databaseUrl: string,
  megabytes: number,
): Promise<{ readonly idle: Peaks; readonly busy: Peaks }> {
  const name = `bench-${megabytes}`
  const app = join(folder, 'app')
  await mkdir(app, { recursive: true })
  await writeFile(join(app, 'package.json'), JSON.stringify({ name, version: '1.0.0' }))
  await writeFile(join(app, 'server.js'), '')
  for (let at = 0; at < megabytes; at++) await appendFile(join(app, 'data.bin'), randomBytes(mebibyte))
  const data = join(folder, 'control')
  const control = start('control/main.ts', [], {
    AETHER_API_TOKENS: `${token}:admin:bench`,
    AETHER_CONTROL_DATA_DIR: data,
    AETHER_CONTROL_LISTEN_PORT: '0',
    AETHER_REQUIRE_SIGNATURE: 'false',
    DATABASE_URL: databaseUrl,
  })
  try {
    const url = /http:\/\/[^"]+/.exec(await control.line('"listening"'))?.[0] ?? ''
    const env = { AETHER_URL: url, AETHER_TOKEN: token, XDG_CACHE_HOME: join(folder, 'cache') }
    await run(['apps', 'create', name], env)
    const idleCli = await run(['list'], env)
    const idle = { control: control.peakMb(), cli: idleCli.peakMb() }
    const deploy = start('cli/main.ts', ['deploy', app, '--no-install'], env)
    await Promise.race([serve(join(data, 'targets/default', name), url, deploy), deploy.ended])
    if ((await deploy.ended) !== 0) await deploy.line('serving')
    return { idle, busy: { control: control.peakMb(), cli: deploy.peakMb() } }
  } finally {
    await control.stop()
  }
}

async function run(args: readonly string[], env: Readonly<Record<string, string>>): Promise<Running> {
  const command = start('cli/main.ts', args, env)
  const code = await command.ended
  if (code !== 0) throw new Error(`aether ${args.join(' ')} ended with ${code}`)
  return command
}

/** Says what the agents of the app would say: that it serves. */
async function serve(folder: string, url: string, { child }: Running): Promise<void> {
  while (child.exitCode === null) {
    await sleep(50)
    const text = await readFile(join(folder, 'annotations'), 'utf8').catch(() => undefined)
    const digest = text === undefined ? undefined : parsePodinfo(text)[annotations.digest]
    if (digest === undefined) continue
    const served = parseDigest(digest, 'digest')
    const answer = await fetch(`${url}${agentPaths.outcome}`, {
      method: 'PUT',
      headers: {
        authorization: `Bearer ${await readFile(join(folder, 'token'), 'utf8')}`,
        'content-type': 'application/json',
      },
      body: formatOutcome({
        digest: served,
        outcome: 'ok',
        serving: served,
        reason: null,
        detail: null,
        message: null,
        ms: null,
      }),
    })
    if (answer.ok) return
  }
}
