// For tests: a process that stages a blob which never ends, into the folder of its first argument.
import { createFolderBlobs } from './folder.ts'

async function* endless(): AsyncGenerator<Uint8Array> {
  for (let sent = 0; ; sent += 1) {
    if (sent === 20) process.stdout.write('staging\n')
    yield Buffer.alloc(1_000, sent)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const [root] = process.argv.slice(2)
if (root === undefined) throw new Error('say a folder')
await createFolderBlobs(root).stage(endless(), Number.MAX_SAFE_INTEGER)
