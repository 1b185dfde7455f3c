#!/usr/bin/env node
// aether: what developers type. README.md says what it reads, writes and promises.
import { runCommand } from './run-command.ts'

process.exitCode = await runCommand({
  argv: process.argv.slice(2),
  env: process.env,
  cwd: process.cwd(),
  stdout: process.stdout,
  stderr: process.stderr,
  onSignal(interrupt) {
    // Listeners that stay: while a child runs, execa's own would end us before the clean-up where it is the only one left.
    for (const [signal, exitCode] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      let isSecond = false
      process.on(signal, () => {
        if (isSecond) process.exit(exitCode)
        isSecond = true
        interrupt(exitCode)
      })
    }
    // As in `aether logs -f | head`.
    process.stdout.on('error', () => interrupt(141))
  },
})
