// Which cluster is meant. One that was never used with this project is not touched before somebody said yes to it: the context of
// kubectl is where the last command, of another project perhaps, left it.
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { isObject } from '@aether/contract/json'
import { readAnswer } from '../basics/answer.ts'
import { Failure } from '../basics/failure.ts'
import { runProgram } from '../basics/run-program.ts'
import { type Env, stateFolder } from '../basics/settings.ts'
import { kubectlNext } from './kubectl.ts'

export interface KubeContext {
  readonly name: string
  /** URL of its API server. */
  readonly server: string
}

export interface ContextQuery {
  /** By --context. */
  readonly asked: string | undefined
  readonly folder: string
  readonly env: Env
  readonly signal: AbortSignal
}

const mostFolders = 200

/** Asks on the terminal; where there is none, a context that is new here has to be named by its flag. */
export async function chooseContext(query: ContextQuery): Promise<KubeContext> {
  const { asked, folder, env, signal } = query
  const context = await readContext(query)
  const file = join(stateFolder(env), 'contexts.json')
  const used = await loadUsed(file)
  const mark = `${context.name} ${context.server}`
  if (used.get(folder)?.includes(mark) === true) return context
  if (asked === undefined && !(await isWanted(context, signal)))
    throw new Failure('usage', `the context ${context.name} (${context.server}) was never used with ${folder}`, {
      next: `where it is the right one: --context ${context.name}; kubectl config get-contexts lists the others`,
    })
  used.set(folder, [...(used.get(folder) ?? []), mark])
  await saveUsed(file, [...used].slice(-mostFolders))
  return context
}

async function readContext({ asked, folder, env, signal }: ContextQuery): Promise<KubeContext> {
  const args = ['config', 'view', '--minify', '--output=json', ...(asked === undefined ? [] : [`--context=${asked}`])]
  const { exitCode, stdout, lines } = await runProgram(
    'kubectl',
    args,
    { cwd: folder, env, signal, timeoutMs: 30_000 },
    kubectlNext,
  )
  if (exitCode !== 0)
    throw new Failure('runtime', `kubectl knows no ${asked === undefined ? 'current context' : `context ${asked}`}`, {
      detail: lines.slice(-3),
      next: 'kubectl config get-contexts lists those there are; KUBECONFIG names the file',
    })
  const config = readAnswer(JSON.parse(stdout), 'what kubectl says')
  const [cluster] = config.items('clusters')
  const [context] = config.items('contexts')
  if (cluster === undefined || context === undefined)
    throw new Failure('runtime', 'the context of kubectl names no cluster', { next: kubectlNext })
  return { name: context.text('name'), server: cluster.object('cluster').text('server') }
}

async function isWanted({ name, server }: KubeContext, signal: AbortSignal): Promise<boolean> {
  if (!process.stdin.isTTY) return false
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await terminal.question(
      `The context ${name} (${server}) was never used with this project. Run it there? [y/N] `,
      { signal },
    )
    return /^y(?:es)?$/i.test(answer.trim())
  } finally {
    terminal.close()
  }
}

async function loadUsed(file: string): Promise<Map<string, readonly string[]>> {
  const used = new Map<string, readonly string[]>()
  try {
    const value: unknown = JSON.parse(await readFile(file, 'utf8'))
    for (const [folder, marks] of Object.entries(isObject(value) ? value : {}))
      if (Array.isArray(marks)) used.set(folder, marks.filter((one) => typeof one === 'string').slice(-20))
  } catch {
    // None yet, or none that can be read: then it is asked again.
  }
  return used
}

async function saveUsed(file: string, used: readonly (readonly [string, readonly string[]])[]): Promise<void> {
  try {
    await mkdir(join(file, '..'), { recursive: true })
    await writeFile(`${file}.${process.pid}`, JSON.stringify(Object.fromEntries(used)), { mode: 0o600 })
    await rename(`${file}.${process.pid}`, file)
  } catch {
    // It is asked again the next time.
  }
}
