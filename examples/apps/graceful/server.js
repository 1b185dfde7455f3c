// Closes its server on SIGTERM and ends when the last answer is out, as most guides say. `/slow?ms=N` takes its time.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))

const server = createServer((request, response) => {
  const url = new URL(request.url, 'http://app')
  setTimeout(() => response.end(`graceful ${version} ${process.pid}\n`), Number(url.searchParams.get('ms') ?? 0))
})
server.listen(process.env.PORT ?? 8080)

process.on('SIGTERM', () => server.close(() => process.exit(0)))
