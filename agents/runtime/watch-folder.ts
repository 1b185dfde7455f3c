// Tells that something in one folder changed: inotify, and a look at intervals because its queue can overflow.
import { type FSWatcher, watch } from 'node:fs'

export interface FolderWatch {
  close(): void
}

/**
 * Calls `look` at the start, soon after each change, and at each interval; one call at a time, and once more where
 * something changed during it. The folder may come later. `look` must not reject.
 */
export function watchFolder(path: string, intervalMs: number, look: () => Promise<void>): FolderWatch {
  let watcher: FSWatcher | undefined
  let looking = false
  let again = false
  let closed = false

  async function changed(): Promise<void> {
    again = true
    if (looking) return
    looking = true
    while (again && !closed) {
      again = false
      await look()
    }
    looking = false
  }
  function begin(): void {
    try {
      watcher ??= watch(path, { persistent: false }, () => void changed()).on('error', () => {
        watcher?.close()
        watcher = undefined
      })
    } catch {
      // Not there yet: the next interval tries again.
    }
  }
  const interval = setInterval(() => {
    begin()
    void changed()
  }, intervalMs)
  begin()
  void changed()
  return {
    close() {
      closed = true
      clearInterval(interval)
      watcher?.close()
    },
  }
}
