// Forks a process that listens by child_process.fork, and another one when it ends.
import { fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))

function start() {
  fork(import.meta.filename, ['listen']).on('exit', start)
}

if (process.argv[2] === 'listen') {
  process.on('disconnect', () => process.exit())
  createServer((request, response) => response.end(`fork ${version} ${process.pid}\n`)).listen(process.env.PORT ?? 8080)
} else start()
