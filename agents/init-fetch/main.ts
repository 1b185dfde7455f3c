// init-fetch: verifies and unpacks the release that a new pod starts with, moves `current` to it, and exits.
import { hexOf } from '@aether/contract/digest'
import { exitCodes } from '@aether/contract/exit-codes'
import { formatRefreshFail } from '@aether/contract/markers'
import { reasons, toReasonError } from '@aether/contract/reasons'
import { runCommand } from '@aether/runtime/command'
import { createControlToken } from '@aether/runtime/control-token'
import { createLog } from '@aether/runtime/log'
import { loadConfig } from './config.ts'
import { fetchFirst, prepareVolume } from './first.ts'
import { createTerminationMessage } from './termination-message.ts'
import { findTarget } from './wanted.ts'

void runCommand('init-fetch', async () => {
  const startedAt = performance.now()
  process.umask(0o002) // the other agent may be another user of the volume's group
  const config = await loadConfig(process.argv.slice(2), process.env)
  const log = createLog('init-fetch', config.logLevel)
  for (const warning of config.warnings) log.warn({}, warning)
  // The first process of a container is not ended by SIGTERM unless it listens for it.
  const stop = new AbortController()
  process.once('SIGTERM', () => stop.abort())
  const left = createTerminationMessage(config.terminationLog)
  const authorize = config.control && createControlToken(config.control, log)
  try {
    const target = await findTarget(config, authorize, log, left, stop.signal)
    if (target === undefined) {
      await prepareVolume(config.refresh.layout)
      log.info({}, 'no release is asked for yet: the app waits for the first one')
      return exitCodes.ok
    }
    const { activation, warnings, ...figures } = await fetchFirst(
      target,
      { ...config.refresh, authorize },
      ({ reason, detail, message }, pauseMs) => log.warn({ reason, detail, pauseMs }, `${message}; it is tried again`),
      stop.signal,
    )
    for (const warning of warnings) log.warn({}, warning)
    log.info({ activation, ...figures }, `release ${hexOf(activation.digest).slice(0, 12)} is active`)
    return exitCodes.ok
  } catch (error) {
    const failure = toReasonError(error)
    const { reason, detail, message } = failure
    log.error({ reason, detail, err: failure }, message)
    log.marker(formatRefreshFail({ app: config.app, reason, ms: performance.now() - startedAt }, { detail }))
    left.write({ reason, message })
    return reasons[reason].exitCode
  }
})
