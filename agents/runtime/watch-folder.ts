// Tells that something in one folder changed: inotify, and a look at intervals because its queue can overflow.
import { type FSWatcher, watch } from 'node:fs'

export interface FolderWatch {
  close(): void
}

/** Calls `look` soon after each change, at each interval, and once at the start. The folder may come later. */
export function watchFolder(path: string, intervalMs: number, look: () => void): FolderWatch {
  let watcher: FSWatcher | undefined
  const begin = () => {
    try {
      watcher ??= watch(path, { persistent: false }, look).on('error', () => {
        watcher?.close()
        watcher = undefined
      })
    } catch {
      // Not there yet: the next interval tries again.
    }
  }
  const interval = setInterval(() => {
    begin()
    look()
  }, intervalMs)
  begin()
  look()
  return {
    close() {
      clearInterval(interval)
      watcher?.close()
    },
  }
}
