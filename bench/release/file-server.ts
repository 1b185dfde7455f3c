// A process of its own: serves the files of a folder as they are, and nothing else.
import { createReadStream, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream'

const folder = process.argv[2] ?? ''

const server = createServer((request, response) => {
  const file = join(folder, basename(request.url ?? ''))
  const stat = statSync(file, { throwIfNoEntry: false })
  if (!stat?.isFile()) {
    response.writeHead(404).end()
    return
  }
  response.writeHead(200, { 'content-type': 'application/gzip', 'content-length': stat.size })
  pipeline(createReadStream(file, { highWaterMark: 256 * 1024 }), response, () => {})
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address !== null && typeof address === 'object') console.log(`http://127.0.0.1:${address.port}`)
})
