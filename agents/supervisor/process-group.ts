// The processes that an app's process started, as far as they stayed in its group.
import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

const goneMs = 1000

/** Those that live, the leader among them; a zombie holds nothing any more. */
export async function membersOf(leader: number): Promise<readonly number[]> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name)).map(Number)
  const groups = await Promise.all(pids.map(groupOf))
  return pids.filter((_, at) => groups[at] === leader)
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
  while (performance.now() < until && (await membersOf(leader)).length > 0) await sleep(5)
}

/** Undefined for a zombie. State and group are the first and third field behind the name in brackets (proc_pid_stat(5)). */
async function groupOf(pid: number): Promise<number | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  const [state, , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return state === 'Z' || state === 'X' ? undefined : Number(group)
}
