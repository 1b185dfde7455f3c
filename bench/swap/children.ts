// The children of a process, by proc(5).
import { readdirSync, readFileSync } from 'node:fs'

/** All that this process has started, and what those have; none where it has ended. */
export function descendants(pid: number): readonly number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendants(child)])
}

/** Each thread has its own. */
function childrenOf(pid: number): readonly number[] {
  try {
    return readdirSync(`/proc/${pid}/task`)
      .flatMap((thread) => readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' '))
      .filter((child) => child !== '')
      .map(Number)
  } catch {
    return []
  }
}
