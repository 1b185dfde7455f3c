// A thread that takes frames of a full pack (frame-files.ts): one message with a frame and its files, one when they are on disk.
import { parentPort, workerData } from 'node:worker_threads'
import { TreeError, type TreeFault } from '@aether/artifact/tree-error'
import { type FrameFile, giveBack, inflateFrame, writeFrameFiles } from './frame-files.ts'

export interface FrameRequest {
  readonly packed: Uint8Array<ArrayBuffer>
  readonly unpackedBytes: number
  readonly files: readonly FrameFile[]
}

/** What went wrong; undefined where nothing did. An error of the system has no fault. */
export type FrameAnswer =
  | {
      readonly message: string
      readonly fault: TreeFault | undefined
      readonly code: string
      readonly syscall: string
    }
  | undefined

parentPort?.on('message', (request: FrameRequest) => {
  // oxlint-disable-next-line require-post-message-target-origin -- a thread's port is no window
  parentPort?.postMessage(answerTo(request))
})

function answerTo({ packed, unpackedBytes, files }: FrameRequest): FrameAnswer {
  try {
    const tar = inflateFrame(packed, unpackedBytes)
    giveBack(packed)
    writeFrameFiles(String(workerData), tar, files)
    giveBack(tar)
    return undefined
  } catch (error) {
    if (error instanceof TreeError) return { message: error.message, fault: error.code, code: '', syscall: '' }
    const {
      message,
      code = '',
      syscall = '',
    }: NodeJS.ErrnoException = error instanceof Error ? error : new Error(String(error))
    return { message, fault: undefined, code, syscall }
  }
}
