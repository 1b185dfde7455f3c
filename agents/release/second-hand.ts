// A second thread for the files of a large tree: it takes a part at a time while the first one goes on with the next.
import { Worker } from 'node:worker_threads'
import type { FileTask } from './file-writer.ts'
import type { WriteAnswer, WriteRequest } from './write-thread.ts'

export interface SecondHand {
  /** Whether it has nothing to do after what it does now. */
  isFree(): boolean
  /** The part's memory is its own from then on. Never rejects: what goes wrong, `finish` throws. */
  take(part: Uint8Array<ArrayBuffer>, tasks: readonly FileTask[], done: (digests: readonly string[]) => void): void
  /** All that it took is done. */
  finish(): Promise<void>
  end(): Promise<void>
}

const mostParts = 2
/** It has no more in hand than the parts: a small heap, and a small thread. */
const resourceLimits = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 32, stackSizeMb: 1 }

/** For files below `folder`. */
export function startSecondHand(folder: string): SecondHand {
  const worker = new Worker(new URL('./write-thread.ts', import.meta.url), {
    workerData: folder,
    resourceLimits,
    env: {},
    execArgv: [],
  })
  const waiting: ((digests: readonly string[]) => void)[] = []
  let failure: { readonly error: unknown } | undefined
  let wake = () => {}
  const fail = (error: unknown) => {
    failure ??= { error }
    wake()
  }
  worker.on('message', ({ digests, error }: WriteAnswer) => {
    const done = waiting.shift()
    if (error === undefined) done?.(digests)
    else fail(Object.assign(new Error(error.message), { code: error.code, syscall: error.syscall }))
    wake()
  })
  worker.on('error', fail)
  worker.on('exit', () => fail(new Error('the thread that writes files ended')))
  return {
    isFree: () => waiting.length < mostParts && failure === undefined,
    take(part, tasks, done) {
      waiting.push(done)
      const request: WriteRequest = { part, tasks }
      worker.postMessage(request, [part.buffer])
    },
    async finish() {
      while (waiting.length > 0 && failure === undefined)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      if (failure !== undefined) throw failure.error
    },
    async end() {
      worker.removeAllListeners('exit')
      await worker.terminate()
    },
  }
}
