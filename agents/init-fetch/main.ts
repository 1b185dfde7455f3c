// init-fetch: verifies and unpacks the release that the pod's annotations ask for, moves `current` to it, and exits.
import { writeFile } from 'node:fs/promises'
import { hexOf } from '@aether/contract/digest'
import { exitCodes } from '@aether/contract/exit-codes'
import { formatRefreshFail } from '@aether/contract/markers'
import { ReasonError, reasons, toReasonError } from '@aether/contract/reasons'
import { runCommand } from '@aether/runtime/command'
import { ConfigError, HelpAsked } from '@aether/runtime/config'
import { createLog } from '@aether/runtime/log'
import { loadConfig } from './config.ts'
import { fetchFirst } from './first.ts'

await runCommand('init-fetch', async () => {
  const startedAt = performance.now()
  try {
    const config = loadConfig(process.argv.slice(2), process.env)
    const log = createLog('init-fetch', config.logLevel)
    for (const warning of config.warnings) log.warn({}, warning)
    try {
      const { activation, ...figures } = await fetchFirst(config)
      log.info({ activation, ...figures }, `release ${hexOf(activation.digest).slice(0, 12)} is active`)
      return exitCodes.ok
    } catch (error) {
      const failure = toReasonError(error)
      const { reason, detail, message } = failure
      log.error({ reason, detail, err: failure }, message)
      log.marker(formatRefreshFail({ app: config.app, reason, ms: performance.now() - startedAt }, { detail }))
      await leaveReason(config.terminationLog, failure)
      return reasons[reason].exitCode
    }
  } catch (error) {
    if (!(error instanceof ReasonError) || error instanceof ConfigError || error instanceof HelpAsked) throw error
    process.stderr.write(`init-fetch: ${error.message}\n`)
    await leaveReason('/dev/termination-log', error)
    return reasons[error.reason].exitCode
  }
})

/** `kubectl describe pod` shows it. Outside Kubernetes there is no such file, and none is needed. */
async function leaveReason(path: string, { reason, message }: ReasonError): Promise<void> {
  await writeFile(path, JSON.stringify({ reason, message }).slice(0, 4096), { flag: 'r+' }).catch(() => undefined)
}
