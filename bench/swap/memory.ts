// What the processes of a contestant hold, by proc(5) smaps_rollup: RSS counts what is shared each time, PSS its share.
import { readFileSync } from 'node:fs'
import type { Process } from './contestants.ts'

export interface Memory {
  readonly role: string
  readonly rssMb: number
  readonly pssMb: number
  readonly anonMb: number
}

/** `servingPid` is the process that answers; another process of the app is its spare. */
export function readMemory(processes: readonly Process[], servingPid: number): readonly Memory[] {
  return processes.map(({ role, pid }) => {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
    const megabytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1]) / 1024
    return {
      role: role === 'app' && pid !== servingPid ? 'spare' : role,
      rssMb: megabytes('Rss'),
      pssMb: megabytes('Pss'),
      anonMb: megabytes('Anonymous'),
    }
  })
}
