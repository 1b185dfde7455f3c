// A second thread for the frames of a large tree: it takes some while the first thread does the others.
import { Worker } from 'node:worker_threads'
import { TreeError } from '@aether/artifact/tree-error'
import type { FrameAnswer, FrameRequest } from './frame-thread.ts'

export interface FrameHand {
  /** Whether it has little to do after what it does now. */
  isFree(): boolean
  /** The frame's memory is its own from then on. Never rejects: what goes wrong, `finish` throws. */
  take(request: FrameRequest): void
  /** Throws what went wrong so far. */
  check(): void
  /** All that it took is done. */
  finish(): Promise<void>
  end(): Promise<void>
}

const mostFrames = 2
/** It has no more in hand than the frames: a small heap, and a small thread. */
const resourceLimits = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 32, stackSizeMb: 1 }

/** For files below `folder`. */
export function startFrameHand(folder: string): FrameHand {
  const worker = new Worker(new URL('./frame-thread.ts', import.meta.url), {
    workerData: folder,
    resourceLimits,
    env: {},
    execArgv: [],
  })
  let waiting = 0
  let failure: { readonly error: unknown } | undefined
  let wake = () => {}
  const fail = (error: unknown) => {
    failure ??= { error }
    wake()
  }
  worker.on('message', (answer: FrameAnswer) => {
    waiting--
    if (answer !== undefined) fail(errorOf(answer))
    wake()
  })
  worker.on('error', fail)
  worker.on('exit', () => fail(new Error('the thread that writes files ended')))
  const check = () => {
    if (failure !== undefined) throw failure.error
  }
  return {
    isFree: () => waiting < mostFrames && failure === undefined,
    take(request) {
      waiting++
      worker.postMessage(request, [request.packed.buffer])
    },
    check,
    async finish() {
      while (waiting > 0 && failure === undefined)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      check()
    },
    async end() {
      worker.removeAllListeners('exit')
      await worker.terminate()
    },
  }
}

function errorOf({ message, fault, code, syscall }: NonNullable<FrameAnswer>): Error {
  return fault === undefined ? Object.assign(new Error(message), { code, syscall }) : new TreeError(fault, message)
}
