// Records a session of `aether dev` as text: a real app in a folder of its own, five saves, and what the command printed.
//   node scripts/dev-session.ts --local --port 8099
//   node scripts/dev-session.ts --pods --context NAME --namespace NAME --app hello
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../cli/main.ts', import.meta.url))
const limitMs = 120_000

const manifest = (more = '') =>
  `{"name":"shop","version":"1.0.0","type":"module","scripts":{"start":"node server.js"}${more}}\n`
const server = (head: string, answer: string) => `${head}import { createServer } from 'node:http'

const port = process.env.PORT
createServer((request, response) => response.end(${answer})).listen(port, () => console.log('listens on ' + port))
`

interface Save {
  readonly says: string
  readonly files: Readonly<Record<string, string>>
}

const first: Readonly<Record<string, string>> = {
  'package.json': manifest(),
  'server.js': server('', "'10 apples\\n'"),
  'lib/money/package.json': '{"name":"money","version":"1.0.0","type":"module","exports":"./money.js"}\n',
  'lib/money/money.js': "export const price = (cents) => (cents / 100).toFixed(2) + ' EUR'\n",
}

const saves: readonly Save[] = [
  { says: 'another answer', files: { 'server.js': server('', "'20 apples\\n'") } },
  { says: 'a syntax error', files: { 'server.js': server('', "'30 apples\\n") } },
  {
    says: 'a crash at start',
    files: { 'server.js': server("throw new Error('DATABASE_URL is not set')\n", "'30 apples\\n'") },
  },
  {
    says: 'a new dependency',
    files: {
      'package.json': manifest(',"dependencies":{"money":"file:./lib/money"}'),
      'server.js': server("import { price } from 'money'\n", "price(3000) + ' for 30 apples\\n'"),
    },
  },
  {
    says: 'another answer',
    files: { 'server.js': server("import { price } from 'money'\n", "price(4000) + ' for 40 apples\\n'") },
  },
]

const flags = process.argv.slice(2)
const root = await mkdtemp(join(tmpdir(), 'aether-session-'))
const folder = join(root, 'shop')
try {
  await write(first)
  const lines = await record()
  process.stdout.write(`${lines.join('\n').replaceAll(folder, '~/shop').replaceAll(root, '/tmp/aether')}\n`)
} finally {
  await rm(root, { recursive: true, force: true })
}

async function record(): Promise<readonly string[]> {
  const args = ['dev', folder, '--hot', ...flags]
  const lines = [`$ aether ${['dev', '--hot', ...flags].join(' ')}`]
  const child = spawn(process.execPath, [main, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TMPDIR: root },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
      lines.push(...text.replace(/\n$/, '').split('\n'))
    })
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const verdicts = () => [...output.matchAll(/^(?:serving|failed) /gm)].length
  try {
    await until(() => verdicts() === 1)
    for (const [at, { says, files }] of saves.entries()) {
      // Its log comes by another way than its verdict.
      await sleep(2_000)
      lines.push('', `# save ${at + 1}: ${says}`)
      await write(files)
      await until(() => verdicts() === at + 2)
    }
    await sleep(2_000)
    lines.push('', '^C')
  } finally {
    child.kill('SIGINT')
    await ended
  }
  return lines

  async function until(holds: () => boolean): Promise<void> {
    const deadline = performance.now() + limitMs
    while (!holds()) {
      if (performance.now() > deadline || child.exitCode !== null) throw new Error(`it does not go on:\n${output}`)
      await sleep(50)
    }
  }
}

async function write(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), text)
  }
}
