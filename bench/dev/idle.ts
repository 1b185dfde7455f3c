// What a process and those that it started cost while nothing is saved, by proc(5).
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Idle {
  /** Milliseconds of a core in a second. */
  readonly cpuMs: number
  readonly rssMb: number
  readonly processes: number
}

const tickMs = 10

export async function measureIdle(pid: number, seconds: number): Promise<Idle> {
  const before = ticksOf(treeOf(pid))
  await sleep(seconds * 1_000)
  const all = treeOf(pid)
  const rssKb = all.reduce((sum, one) => sum + Number(/^VmRSS:\s+(\d+) kB$/m.exec(read(one, 'status'))?.[1] ?? 0), 0)
  return { cpuMs: ((ticksOf(all) - before) * tickMs) / seconds, rssMb: rssKb / 1024, processes: all.length }
}

function treeOf(root: number): readonly number[] {
  const parents = new Map(
    readdirSync('/proc')
      .map(Number)
      .filter(Number.isSafeInteger)
      .map((pid) => [pid, Number(fieldsOf(pid)[1])] as const),
  )
  const found = [root]
  for (const pid of found) for (const [child, parent] of parents) if (parent === pid) found.push(child)
  return found
}

function ticksOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + Number(fieldsOf(pid)[11] ?? 0) + Number(fieldsOf(pid)[12] ?? 0), 0)
}

/** After the name, which may hold anything: state, parent, ... */
function fieldsOf(pid: number): readonly string[] {
  return read(pid, 'stat')
    .replace(/^.*\) /s, '')
    .split(' ')
}

function read(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8')
  } catch {
    return ''
  }
}
