// Listens on the unix socket that SOCKET names, and on no port.
import { readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))
const path = process.env.SOCKET

rmSync(path, { force: true })
createServer((request, response) => response.end(`unix-socket ${version} ${process.pid}\n`)).listen(path)
