// The outermost frame of an agent's main: help, faults of the configuration, the exit code.
import { exitCodes } from '@aether/contract/exit-codes'
import { ReasonError, reasons } from '@aether/contract/reasons'
import { ConfigError, HelpAsked } from './config.ts'

/** Runs `main` and ends the process with the code it answers. `isPlain` knows errors whose message says it all. */
export async function runCommand(
  name: string,
  main: () => Promise<number>,
  isPlain: (error: unknown) => boolean = () => false,
): Promise<never> {
  process.exitCode = exitCodes.failed // of an end that nobody asked for
  try {
    process.exit(await main())
  } catch (error) {
    if (error instanceof HelpAsked) {
      process.stdout.write(error.text)
      process.exit(exitCodes.ok)
    }
    const fault = describe(error, isPlain)
    process.stderr.write(`${name}: ${fault.text}\n`)
    process.exit(fault.code)
  }
}

function describe(
  error: unknown,
  isPlain: (error: unknown) => boolean,
): { readonly text: string; readonly code: number } {
  if (error instanceof ConfigError) return { text: error.message, code: exitCodes.usage }
  if (error instanceof ReasonError) return { text: error.message, code: reasons[error.reason].exitCode }
  if (!(error instanceof Error)) return { text: String(error), code: exitCodes.failed }
  // The system's own errors name the call and the path or address: a port that is taken, a folder that is somebody else's.
  const isSaid = isPlain(error) || 'syscall' in error
  return { text: isSaid ? error.message : (error.stack ?? error.message), code: exitCodes.failed }
}
