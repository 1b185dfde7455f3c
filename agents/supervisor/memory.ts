// Whether the container has room for a second process like the one that runs. With memory.oom.group (Kubernetes 1.28+ on
// cgroup v2) one process out of memory takes the whole container along, so this is looked at before and not found out.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { membersOf } from './process-group.ts'

interface Memory {
  readonly limit: number
  /** What cannot be taken back: without the page cache of files. */
  readonly used: number
}

/** Kept free on top of what the running process has. */
const reserveBytes = 16 * 1024 * 1024

/** What is lacking, in words; undefined where there is room, or no limit. */
export async function roomForAnother(pid: number, cgroupDir: string): Promise<string | undefined> {
  const memory = (await readV2(cgroupDir)) ?? (await readV1(cgroupDir))
  if (memory === undefined) return undefined
  const needed = (await groupBytes(pid)) + reserveBytes
  const free = memory.limit - memory.used
  if (free >= needed) return undefined
  return `two processes need more memory than the container may have: ${mebibytes(free)} are free of ${mebibytes(memory.limit)}, a second process needs about ${mebibytes(needed)}; raise the limit`
}

// https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files
async function readV2(folder: string): Promise<Memory | undefined> {
  const [limit, current, stat] = await Promise.all([
    readNumber(join(folder, 'memory.max')),
    readNumber(join(folder, 'memory.current')),
    readStat(join(folder, 'memory.stat')),
  ])
  if (limit === undefined || current === undefined) return undefined
  return { limit, used: current - (stat.get('inactive_file') ?? 0) - (stat.get('active_file') ?? 0) }
}

// https://docs.kernel.org/admin-guide/cgroup-v1/memory.html
async function readV1(folder: string): Promise<Memory | undefined> {
  const [limit, current, stat] = await Promise.all([
    readNumber(join(folder, 'memory', 'memory.limit_in_bytes')),
    readNumber(join(folder, 'memory', 'memory.usage_in_bytes')),
    readStat(join(folder, 'memory', 'memory.stat')),
  ])
  // No limit is the largest multiple of a page there.
  if (limit === undefined || current === undefined || limit > Number.MAX_SAFE_INTEGER) return undefined
  return { limit, used: current - (stat.get('total_inactive_file') ?? 0) - (stat.get('total_active_file') ?? 0) }
}

/** What only this process has: the text of Node and its libraries is shared with the next one. */
export async function ownBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return 1024 * Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0)
}

/** With the workers that it forked, which the next one forks too. */
async function groupBytes(leader: number): Promise<number> {
  const bytes = await Promise.all((await membersOf(leader)).map(ownBytes))
  return bytes.reduce((sum, one) => sum + one, 0)
}

/** Undefined where it is not there or says `max`. */
async function readNumber(path: string): Promise<number | undefined> {
  const text = (await readFile(path, 'utf8').catch(() => '')).trim()
  return /^\d+$/.test(text) ? Number(text) : undefined
}

async function readStat(path: string): Promise<ReadonlyMap<string, number>> {
  const lines = (await readFile(path, 'utf8').catch(() => '')).split('\n')
  return new Map(lines.map((line) => [line.split(' ')[0] ?? '', Number(line.split(' ')[1])]))
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`
}
