// The command aether as a person types it: what it prints is shown as it comes.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { inherited } from './process.ts'
import { faint, plain } from './say.ts'

const main = fileURLToPath(new URL('../../cli/main.ts', import.meta.url))

export interface Cli {
  /** Shows the command and its lines. Throws where it ends with another code than `expected`. */
  type(args: readonly string[], expected?: number): Promise<readonly string[]>
  /** Says nothing, and answers its JSON. */
  ask(args: readonly string[]): Promise<unknown>
}

export function createCli(cwd: string, env: Readonly<Record<string, string>>): Cli {
  async function run(args: readonly string[], expected: number, onLine: (line: string) => void): Promise<string[]> {
    const child = spawn(process.execPath, [main, ...args], {
      cwd,
      env: { ...inherited(), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const lines: string[] = []
    for (const stream of [child.stdout, child.stderr])
      createInterface({ input: stream }).on('line', (line) => {
        lines.push(line)
        onLine(line)
      })
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
    if (code !== expected) throw new Error(`aether ${args.join(' ')} ended with code ${code}:\n${lines.join('\n')}`)
    return lines
  }
  return {
    type(args, expected = 0) {
      plain(`          $ aether ${args.join(' ')}`)
      return run(args, expected, (line) => plain(faint(`            ${line}`)))
    },
    async ask(args) {
      const lines = await run([...args, '--output', 'json'], 0, () => {})
      return JSON.parse(lines.find((line) => line.startsWith('{')) ?? 'null')
    },
  }
}
