// Follows a folder: each save becomes a pass, each pass a line, until Ctrl-C or a fault that saving does not heal.

import type { CommandContext } from '../basics/command.ts'
import { type Burst, createBurst, untilDue } from './burst.ts'
import { formatReport, reportRecord } from './dev-line.ts'
import type { DevPlace } from './dev-place.ts'
import { createDevRound, type DevReport, type DevRound } from './dev-round.ts'
import { createDevTree } from './dev-tree.ts'
import { watchFolder } from './dev-watch.ts'

export interface Followed {
  readonly folder: string
  readonly work: string
  readonly app: string
}

/** Watch, tree, logs and passes, and the end of them all, the place included. */
export async function followFolder(
  context: CommandContext,
  { folder, work, app }: Followed,
  place: DevPlace,
): Promise<never> {
  const { flags, env, output, signal } = context
  const { warn } = output
  const install = flags.isSet('install')
  const burst = createBurst()
  const over = new AbortController()
  const ends = [place.close, async () => burst.close()]
  let round: DevRound | undefined
  try {
    const allowScripts = flags.isSet('allow-scripts')
    const tree = await createDevTree(folder, work, { env, signal, install, allowScripts, warn })
    const build = flags.text('build')
    round = createDevRound({ folder, tree, place, build, burst, env, output, signal })
    // Before the first pass, so that no save falls in between.
    const watch = await watchFolder(folder, { withModules: !install, warn }, burst.touch)
    ends.push(watch.close)
    output.line(`watching   ${folder} for ${app} ${place.name}`)
    const hasLogs = flags.choice('logs') !== false
    const logs = hasLogs ? place.showLogs(output, AbortSignal.any([signal, over.signal])) : Promise.resolve()
    ends.push(() => logs)
    return await followSaves(context, round, burst, hasLogs)
  } finally {
    over.abort()
    await Promise.all(ends.map((end) => end()))
    const last = place.farewell(round?.served())
    if (last !== undefined) output.line(`end        ${last}`)
  }
}

const restMs = 1_000
const firstRetryMs = 1_000
const lastRetryMs = 5_000

/** Until it is interrupted, or nothing can be done any more. */
async function followSaves(
  { output, signal }: CommandContext,
  round: DevRound,
  burst: Burst,
  hasLogs: boolean,
): Promise<never> {
  let [began, isFirst, isWhole, retryMs] = [performance.now(), true, true, 0]
  for (;;) {
    const since = burst.take()
    if (retryMs === 0) began = isFirst ? began : (since ?? performance.now())
    const report = await round.run(isWhole)
    if (report?.outcome === 'waiting' && (!isFirst || report.stage === 'serving')) {
      isFirst = false
      if (retryMs === 0) sayWaiting(output.warn, report)
      retryMs = Math.min(lastRetryMs, retryMs === 0 ? firstRetryMs : retryMs * 1.5)
      await untilDue(burst.due(), signal, retryMs)
      continue
    }
    retryMs = 0
    if (report !== undefined) {
      if (isFirst) refuseFirst(report)
      const totalMs = performance.now() - began
      // What the app wrote is in its log already, where that is shown.
      const isShown = hasLogs && report.stage === 'serving'
      if (!isShown) for (const line of report.failure?.detail ?? []) output.line(`  ${line}`)
      output.line(formatReport(report, totalMs, output.colours))
      output.result(reportRecord(report, totalMs))
    }
    isFirst = isWhole = false
    if (report?.again === true) continue
    // What was passed over so that the save is quick is looked into when nobody waits for it.
    if (round.owesLook()) {
      await untilDue(burst.due(), signal, restMs)
      isWhole = !burst.due().aborted
    }
    if (!isWhole) await untilDue(burst.due(), signal)
  }
}

/** What saving does not make better ends the command, before anybody waits for it. */
function refuseFirst({ failure, stage }: DevReport): void {
  if (failure !== null && stage !== 'build' && stage !== 'serving') throw failure
}

function sayWaiting(warn: (text: string) => void, { failure }: DevReport): void {
  if (failure !== null)
    warn(
      `${failure.message}${failure.code === undefined ? '' : ` (${failure.code})`}; it goes on by itself when that is over`,
    )
}
