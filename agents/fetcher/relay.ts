// relay: started in the fetcher's container by `aether dev --pods`, through `kubectl exec`. It listens on loopback, carries what
// the fetcher asks there over stdin and stdout to the developer's machine, and tells what the agents' records say. It trusts
// nothing and decides nothing: the signature and the digest do. It ends with its stream.
import { exitCodes } from '@aether/contract/exit-codes'
import { layoutOf } from '@aether/contract/layout'
import { encodeFrame, relayPort } from '@aether/contract/relay-frames'
import { runCommand } from '@aether/runtime/command'
import { createConfigReader } from '@aether/runtime/config'
import { createLine } from './relay-line.ts'
import { listenForFetcher } from './relay-listen.ts'
import { tellRecords } from './relay-records.ts'

void runCommand('relay', async () => {
  const read = createConfigReader(
    'relay',
    'carries the requests of a fetcher to `aether dev --pods`, over stdin and stdout.',
    process.argv.slice(2),
    process.env,
  )
  const layout = layoutOf(read.text('AETHER_DATA_DIR', '/var/lib/aether', 'The volume of the releases.'))
  const runDir = read.text('AETHER_RUN_DIR', '/run/aether', 'Folder of supervisor.json.')
  read.finish()
  const line = createLine(process.stdin, process.stdout)
  if (!(await listenForFetcher(relayPort, line))) {
    await new Promise<void>((resolve) => process.stdout.write(encodeFrame('taken'), () => resolve()))
    return exitCodes.failed
  }
  tellRecords(layout, runDir, line)
  await line.ended
  return exitCodes.ok
})
