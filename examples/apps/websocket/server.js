// WebSockets by ws, beside ordinary answers: each message comes back with the answer's line in front.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))
const answer = `websocket ${version} ${process.pid}`
const server = createServer((request, response) => response.end(`${answer}\n`))

new WebSocketServer({ server }).on('connection', (socket) => {
  socket.on('message', (data) => socket.send(`${answer} ${data}`))
})
server.listen(process.env.PORT ?? 8080)
