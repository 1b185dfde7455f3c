// A process of its own: serves the files of a folder as they are, and nothing else.
import { createReadStream, readFileSync, statSync } from 'node:fs'
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
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []
  const isPart = from !== undefined && to !== undefined && Number(from) < stat.size
  const [start, end] = isPart ? [Number(from), Math.min(Number(to), stat.size - 1)] : [0, stat.size - 1]
  response.writeHead(isPart ? 206 : 200, {
    'content-type': 'application/octet-stream',
    'content-length': end - start + 1,
    'accept-ranges': 'bytes',
    ...(isPart ? { 'content-range': `bytes ${start}-${end}/${stat.size}` } : {}),
  })
  if (end < start) response.end()
  else if (end - start < 64 * 1024) response.end(readFileSync(file).subarray(start, end + 1))
  else pipeline(createReadStream(file, { start, end, highWaterMark: 256 * 1024 }), response, () => {})
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address !== null && typeof address === 'object') console.log(`http://127.0.0.1:${address.port}`)
})
