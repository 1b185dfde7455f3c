// The outermost frame of an agent's main: help, faults of the configuration, the exit code.
import { exitCodes } from '@aether/contract/exit-codes'
import { ConfigError, HelpAsked } from './config.ts'

/** Runs `main` and ends the process with the code it answers. */
export async function runCommand(name: string, main: () => Promise<number>): Promise<never> {
  try {
    process.exit(await main())
  } catch (error) {
    if (error instanceof HelpAsked) {
      process.stdout.write(error.text)
      process.exit(exitCodes.ok)
    }
    const known = error instanceof ConfigError
    const text = known ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error)
    process.stderr.write(`${name}: ${text}\n`)
    process.exit(known ? exitCodes.usage : exitCodes.failed)
  }
}
