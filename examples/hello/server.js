// An ordinary Node HTTP app. It knows nothing of Aether.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))
const port = Number(process.env.PORT ?? 8080)

const server = createServer((request, response) => {
  if (request.url === '/healthz') response.end('ok\n')
  else response.setHeader('content-type', 'text/plain; charset=utf-8').end(`hello from ${version}\n`)
})
server.listen(port, () => console.log(`hello ${version} listens on ${port}`))

process.on('SIGTERM', () => {
  server.close(() => process.exit(0))
})
