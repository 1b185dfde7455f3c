// The outermost frame of an agent's main: help, faults of the configuration, the exit code.
import { exitCodes } from '@aether/contract/exit-codes'
import { ReasonError, reasons } from '@aether/contract/reasons'
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
    const fault = describe(error)
    process.stderr.write(`${name}: ${fault.text}\n`)
    process.exit(fault.code)
  }
}

function describe(error: unknown): { readonly text: string; readonly code: number } {
  if (error instanceof ConfigError) return { text: error.message, code: exitCodes.usage }
  if (error instanceof ReasonError) return { text: error.message, code: reasons[error.reason].exitCode }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return { text, code: exitCodes.failed }
}
