// A custom server as for Next.js: made late, after `await app.prepare()`, with its own upgrade handler and a hostname, and
// closed on SIGTERM.
import { createServer } from 'node:http'
import { createApp } from './app.js'

const port = Number(process.env.PORT ?? 8080)
const hostname = process.env.BIND_HOST ?? '0.0.0.0'
const app = createApp({ hostname, port })
await app.prepare()
const handle = app.getRequestHandler()
const upgrade = app.getUpgradeHandler()

const server = createServer((request, response) => {
  handle(request, response).catch((error) => {
    console.error(error)
    response.statusCode = 500
    response.end('internal server error')
  })
})
server.keepAliveTimeout = 65_000
server.on('upgrade', upgrade)
server.listen(port, hostname, () => console.log(`ready on http://${hostname}:${port}`))
process.on('SIGTERM', () => server.close(() => process.exit(0)))
