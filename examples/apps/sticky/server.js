// Accepts, and sends each connection to one of two workers that listen on nothing, as for sticky sessions.
import { fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createBalancer } from 'node:net'

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))

if (process.argv[2] === 'work') {
  const server = createServer((request, response) => response.end(`sticky ${version} ${process.pid}\n`))
  process.on('message', (message, socket) => {
    if (message !== 'connection' || !socket) return
    server.emit('connection', socket)
    socket.resume()
  })
} else {
  const workers = [fork(import.meta.filename, ['work']), fork(import.meta.filename, ['work'])]
  let next = 0
  createBalancer({ pauseOnConnect: true }, (socket) => {
    workers[next++ % workers.length].send('connection', socket)
  }).listen(process.env.PORT ?? 8080)
}
