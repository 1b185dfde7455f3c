// The client's process: starts a load, counts it, and says what it counted, on the bench's messages.
import { createCounts } from './counts.ts'
import { type FromClient, isToClient } from './protocol.ts'
import { type StopLoad, startLoad } from './workers.ts'

let counts = createCounts(() => {})
let stop: StopLoad = async () => {}

function say(message: FromClient): void {
  process.send?.(message)
}

process.on('message', (message: unknown) => {
  if (!isToClient(message)) throw new Error('the bench said something else than it can')
  if (message.kind === 'start') {
    counts = createCounts((seen) => say({ kind: 'seen', seen }))
    stop = startLoad(message.load, counts)
  } else if (message.kind === 'take') say({ kind: 'tally', tally: counts.take() })
  else void stop().then(() => say({ kind: 'tally', tally: counts.take() }))
})
// The bench is gone, and nobody counts any more.
process.on('disconnect', () => process.exit(1))
