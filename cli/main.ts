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
    process.once('SIGINT', () => interrupt(130))
    process.once('SIGTERM', () => interrupt(143))
    // As in `aether logs -f | head`.
    process.stdout.on('error', () => interrupt(141))
  },
})
