// Asks pods all the time while what they shall serve is changed. The process that sends the change is the one that sees the
// first new answer, so one clock is enough.
import { setTimeout as sleep } from 'node:timers/promises'
import { ask } from './ask.ts'
import { prepareChange } from './change.ts'
import type { Address, Answer, Measured, MeasureRequest, TargetMeasured } from './protocol.ts'

export async function measure(request: MeasureRequest): Promise<Measured> {
  const { targets, expected, everyMs, quietMs, warmMs, settleMs, limitMs } = request
  await sleep(quietMs)
  const change = await prepareChange(request.change)
  const watched = targets.map((address) => watchTarget(address, expected, everyMs))
  try {
    await sleep(warmMs)
    const sentAt = performance.now()
    await change.make()
    const patchMs = performance.now() - sentAt
    const giveUp = AbortSignal.timeout(limitMs)
    await Promise.race([
      Promise.all(watched.map((one) => one.firstNew)),
      new Promise((resolve) => giveUp.addEventListener('abort', resolve, { once: true })),
    ])
    await sleep(settleMs)
    const results = await Promise.all(watched.map((one) => one.end(sentAt)))
    return { targets: results, patchMs }
  } finally {
    await Promise.all(watched.map((one) => one.end(0)))
    change.close()
  }
}

function watchTarget(address: Address, expected: string, everyMs: number) {
  const failed = { refused: 0, reset: 0, truncated: 0, timeout: 0, other: 0, status: 0 }
  const open = new Set<Promise<void>>()
  let requests = 0
  let newAt: number | undefined
  let isNew = () => {}
  const firstNew = new Promise<void>((resolve) => {
    isNew = resolve
  })

  function note({ status, body, error }: Answer): void {
    requests++
    if (error !== null) failed[error]++
    else if (status < 200 || status > 299) failed.status++
    else if (body.trim() === expected) {
      newAt ??= performance.now()
      isNew()
    }
  }
  const timer = setInterval(() => {
    const one = ask(address).then((answer) => {
      open.delete(one)
      note(answer)
    })
    open.add(one)
  }, everyMs)

  return {
    firstNew,
    async end(sentAt: number): Promise<TargetMeasured> {
      clearInterval(timer)
      await Promise.all(open)
      return { host: address.host, firstNewMs: newAt === undefined ? null : newAt - sentAt, requests, failed }
    },
  }
}
