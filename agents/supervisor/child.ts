// The app's process: leader of a group of its own, so that a kill reaches what it started too.
import { spawn } from 'node:child_process'
import type { Activation } from '@aether/contract/activation'
import { hexOf } from '@aether/contract/digest'
import { refusal } from '@aether/contract/reasons'
import type { AppCommand } from './app-command.ts'

export interface Child {
  readonly pid: number
  readonly activation: Activation
  /** Resolves once, with words such as `exit code 1` or `SIGKILL`. */
  readonly exited: Promise<string>
  readonly isAlive: () => boolean
  /** SIGTERM to the process, and SIGKILL to its whole group when it ended or `graceMs` are over. */
  stop(graceMs: number): Promise<void>
}

/** Starts the app with the release's real path as its folder. Throws ReasonError `unhealthy` where it cannot be started. */
export async function startChild(
  command: AppCommand,
  release: string,
  port: number,
  activation: Activation,
): Promise<Child> {
  const child = spawn(command.file, [...command.args], {
    cwd: release,
    detached: true,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: {
      ...process.env,
      PORT: String(port),
      AETHER_DIGEST: `sha256:${hexOf(activation.digest)}`,
      AETHER_BUILD_COMMIT: activation.commit ?? '',
      ...command.env,
    },
  })
  let alive = true
  const exited = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => {
      alive = false
      resolve(signal ?? `exit code ${code}`)
    })
  })
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', (cause) => {
      reject(refusal('unhealthy', 'command', `${command.file} cannot be started: ${cause.message}`, { cause }))
    })
  })
  const pid = child.pid ?? 0
  return {
    pid,
    activation,
    exited,
    isAlive: () => alive,
    async stop(graceMs) {
      if (alive) {
        child.kill('SIGTERM')
        const timer = setTimeout(() => killGroup(pid), graceMs)
        await exited
        clearTimeout(timer)
      }
      killGroup(pid)
    },
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // ESRCH: nothing of the group is left.
  }
}
