// init-fetch: verifies and unpacks the release that the pod's annotations ask for, moves `current` to it, and exits.
import { open } from 'node:fs/promises'
import { hexOf } from '@aether/contract/digest'
import { exitCodes } from '@aether/contract/exit-codes'
import { formatRefreshFail } from '@aether/contract/markers'
import { type ReasonError, reasons, toReasonError } from '@aether/contract/reasons'
import { runCommand } from '@aether/runtime/command'
import { createLog } from '@aether/runtime/log'
import { loadConfig } from './config.ts'
import { fetchFirst } from './first.ts'

await runCommand('init-fetch', async () => {
  const startedAt = performance.now()
  process.umask(0o002) // the other agent may be another user of the volume's group
  const config = loadConfig(process.argv.slice(2), process.env)
  const log = createLog('init-fetch', config.logLevel)
  for (const warning of config.warnings) log.warn({}, warning)
  try {
    const { activation, warnings, ...figures } = await fetchFirst(config)
    for (const warning of warnings) log.warn({}, warning)
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
})

/** `kubectl describe pod` shows it. Outside Kubernetes there is no such file, and none is made. */
async function leaveReason(path: string, { reason, message }: ReasonError): Promise<void> {
  try {
    const file = await open(path, 'r+')
    await file.truncate()
    // Kubernetes takes 4096 bytes of it.
    await file.writeFile(JSON.stringify({ reason, message: message.slice(0, 1000) }))
    await file.close()
  } catch {
    // Nobody asked for it.
  }
}
