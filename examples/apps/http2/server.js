// HTTP/2 without TLS; `/slow?ms=N` holds its stream open for so long.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http2'

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))

createServer((request, response) => {
  const url = new URL(request.url, 'http://app')
  setTimeout(() => response.end(`http2 ${version} ${process.pid}\n`), Number(url.searchParams.get('ms') ?? 0))
}).listen(process.env.PORT ?? 8080)
