// What a process holds: memory of its own, and with what it shares.
import { readFileSync } from 'node:fs'

export interface Memory {
  /** Megabytes that no file backs and nobody shares. */
  readonly anon: number
  readonly rss: number
}

/** proc_pid_smaps(5). */
export function readMemory(pid: number | undefined): Memory {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  const megabytes = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1]) / 1024
  return { anon: megabytes('Anonymous'), rss: megabytes('Rss') }
}
