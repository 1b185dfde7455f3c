// HTTP/2 without TLS; `/slow?ms=N` holds its stream open for so long.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http2'
import { setTimeout as sleep } from 'node:timers/promises'

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))

createServer(async (request, response) => {
  const url = new URL(request.url, 'http://app')
  if (url.pathname === '/slow') await sleep(Number(url.searchParams.get('ms')))
  response.end(`http2 ${version} ${process.pid}\n`)
}).listen(process.env.PORT ?? 8080)
