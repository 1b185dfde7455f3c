// A thread that writes files (file-writer.ts): one message with a part and its files, one with their digests or what went wrong.
import { parentPort, workerData } from 'node:worker_threads'
import { type FileTask, writeFiles } from './file-writer.ts'

export interface WriteRequest {
  readonly part: Uint8Array<ArrayBuffer>
  readonly tasks: readonly FileTask[]
}

export interface WriteAnswer {
  readonly digests: readonly string[]
  readonly error: { readonly message: string; readonly code: string; readonly syscall: string } | undefined
}

parentPort?.on('message', ({ part, tasks }: WriteRequest) => {
  // oxlint-disable-next-line require-post-message-target-origin -- a thread's port is no window
  parentPort?.postMessage(answerTo(part, tasks))
  // The garbage collector, which sees small objects alone, would let megabytes of them pile up.
  part.buffer.transfer(0)
})

function answerTo(part: Uint8Array, tasks: readonly FileTask[]): WriteAnswer {
  try {
    return { digests: writeFiles(String(workerData), part, tasks), error: undefined }
  } catch (error) {
    const {
      message,
      code = '',
      syscall = '',
    }: NodeJS.ErrnoException = error instanceof Error ? error : new Error(String(error))
    return { digests: [], error: { message, code, syscall } }
  }
}
