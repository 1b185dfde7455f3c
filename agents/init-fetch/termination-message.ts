// What `kubectl describe pod` shows of an init container: why it failed, or what it was waiting for when it was ended.
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import type { Reason } from '@aether/contract/reasons'

export interface TerminationMessage {
  write(said: { readonly reason: Reason; readonly message: string }): void
  clear(): void
}

/** Outside Kubernetes there is no such file, and none is made. */
export function createTerminationMessage(path: string): TerminationMessage {
  function put(text: string): void {
    try {
      const file = openSync(path, 'r+')
      try {
        ftruncateSync(file)
        writeSync(file, text)
      } finally {
        closeSync(file)
      }
    } catch {
      // Nobody asked for it.
    }
  }
  return {
    // Kubernetes takes 4096 bytes of it.
    write: ({ reason, message }) => put(JSON.stringify({ reason, message: message.slice(0, 1000) })),
    clear: () => put(''),
  }
}
