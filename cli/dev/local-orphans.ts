// What a supervisor that was killed left running: found by the folder in its environment, which no other run has. Only Linux
// shows that; elsewhere nothing is done.
import { readdirSync, readFileSync } from 'node:fs'

export function killOrphans(workspaceDir: string): void {
  for (const pid of pids()) {
    try {
      if (readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`AETHER_WORKSPACE_DIR=${workspaceDir}`))
        process.kill(pid, 'SIGKILL')
    } catch {
      // Somebody else's, or gone.
    }
  }
}

function pids(): readonly number[] {
  try {
    return readdirSync('/proc').map(Number).filter(Number.isSafeInteger)
  } catch {
    return []
  }
}
