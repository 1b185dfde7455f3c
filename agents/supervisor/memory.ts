// Whether the container has room for a second process like the one that runs. With memory.oom.group (Kubernetes 1.28+ on
// cgroup v2) one process out of memory takes the whole container along, so this is looked at before and not found out.
import { join } from 'node:path'
import { membersOf } from './process-group.ts'
import { readText } from './read-text.ts'

interface Memory {
  readonly limit: number
  /** What cannot be taken back: without the page cache of files. */
  readonly used: number
}

/** Kept free on top of what the running process has. */
const reserveBytes = 16 * 1024 * 1024

/** What is lacking, in words; undefined where there is room, or no limit. */
export function roomForAnother(pid: number, cgroupDir: string): string | undefined {
  const memory = readV2(cgroupDir) ?? readV1(cgroupDir)
  if (memory === undefined) return undefined
  const needed = groupBytes(pid) + reserveBytes
  const free = memory.limit - memory.used
  if (free >= needed) return undefined
  return `two processes need more memory than the container may have: ${mebibytes(free)} are free of ${mebibytes(memory.limit)}, a second process needs about ${mebibytes(needed)}; raise the limit`
}

// https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files
function readV2(folder: string): Memory | undefined {
  const limit = readNumber(join(folder, 'memory.max'))
  const current = readNumber(join(folder, 'memory.current'))
  if (limit === undefined || current === undefined) return undefined
  const stat = readStat(join(folder, 'memory.stat'))
  return { limit, used: current - (stat.get('inactive_file') ?? 0) - (stat.get('active_file') ?? 0) }
}

// https://docs.kernel.org/admin-guide/cgroup-v1/memory.html
function readV1(folder: string): Memory | undefined {
  const limit = readNumber(join(folder, 'memory', 'memory.limit_in_bytes'))
  const current = readNumber(join(folder, 'memory', 'memory.usage_in_bytes'))
  // No limit is the largest multiple of a page there.
  if (limit === undefined || current === undefined || limit > Number.MAX_SAFE_INTEGER) return undefined
  const stat = readStat(join(folder, 'memory', 'memory.stat'))
  return { limit, used: current - (stat.get('total_inactive_file') ?? 0) - (stat.get('total_active_file') ?? 0) }
}

/** What only this process has: the text of Node and its libraries is shared with the next one. */
export function ownBytes(pid: number): number {
  const status = readText(`/proc/${pid}/status`) ?? ''
  return 1024 * Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0)
}

/** With the workers that it forked, which the next one forks too. */
function groupBytes(leader: number): number {
  return membersOf(leader).reduce((sum, pid) => sum + ownBytes(pid), 0)
}

/** Undefined where it is not there or says `max`. */
function readNumber(path: string): number | undefined {
  const text = (readText(path) ?? '').trim()
  return /^\d+$/.test(text) ? Number(text) : undefined
}

function readStat(path: string): ReadonlyMap<string, number> {
  const lines = (readText(path) ?? '').split('\n')
  return new Map(lines.map((line) => [line.split(' ')[0] ?? '', Number(line.split(' ')[1])]))
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`
}
