// Closes its server on SIGTERM and ends when the last answer is out, as most guides say. `/slow?ms=N` takes its time.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))

const server = createServer(async (request, response) => {
  const url = new URL(request.url, 'http://app')
  if (url.pathname === '/slow') await sleep(Number(url.searchParams.get('ms')))
  response.end(`graceful ${version} ${process.pid}\n`)
})
server.listen(process.env.PORT ?? 8080)

process.on('SIGTERM', () => server.close(() => process.exit(0)))
