// The processes that an app's process started, as far as they stayed in its group.
import { readdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { readText } from './read-text.ts'

const goneMs = 1000

/** Those that live, the leader among them; a zombie holds nothing any more. */
export function membersOf(leader: number): readonly number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.map(Number).filter((pid) => groupOf(pid) === leader)
}

/**
 * SIGKILL to all of them; resolves when nobody is left who could take a connection, or a kernel that is busy has had a second
 * to end them.
 */
export async function killGroup(leader: number): Promise<void> {
  try {
    process.kill(-leader, 'SIGKILL')
  } catch {
    // ESRCH: nothing of the group is left.
    return
  }
  const until = performance.now() + goneMs
  while (performance.now() < until && membersOf(leader).length > 0) await sleep(5)
}

/** Undefined for a zombie. State and group are the first and third field behind the name in brackets (proc_pid_stat(5)). */
function groupOf(pid: number): number | undefined {
  const stat = readText(`/proc/${pid}/stat`) ?? ''
  const [state, , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return state === 'Z' || state === 'X' ? undefined : Number(group)
}
