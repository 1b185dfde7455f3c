// Tells the records of both agents, at the start and whenever one changes: the newest only.
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { maxFetcherStateBytes } from '@aether/contract/fetcher-state'
import { supervisorStateName, type VolumeLayout } from '@aether/contract/layout'
import { encodeFrame } from '@aether/contract/relay-frames'
import { maxSupervisorStateBytes } from '@aether/contract/supervisor-state'
import { watchFolder } from '@aether/runtime/watch-folder'
import type { Line } from './relay-line.ts'

const intervalMs = 250

export function tellRecords(layout: VolumeLayout, runDir: string, line: Line): void {
  let told = ''
  const look = async () => {
    const [state, supervisor] = await Promise.all([
      readBounded(layout.state, maxFetcherStateBytes),
      readBounded(join(runDir, supervisorStateName), maxSupervisorStateBytes),
    ])
    const text = JSON.stringify({ state, supervisor })
    if (text === told) return
    told = text
    line.send(encodeFrame('records', 0, Buffer.from(text)))
  }
  for (const folder of [layout.root, runDir]) watchFolder(folder, intervalMs, look)
}

/** Null where there is none, or none of that size. The app could have put a FIFO or a link there. */
async function readBounded(path: string, maxBytes: number): Promise<string | null> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      const stat = await file.stat()
      return stat.isFile() && stat.size <= maxBytes ? await file.readFile('utf8') : null
    } finally {
      await file.close()
    }
  } catch {
    return null
  }
}
