// Listens at once and is ready later: it says so by `process.send`, where it has a parent to say it to. Until then 503.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))
let ready = false

createServer((request, response) => {
  response.statusCode = ready ? 200 : 503
  response.end(`says-ready ${version} ${process.pid}\n`)
}).listen(process.env.PORT ?? 8080)

setTimeout(() => {
  ready = true
  process.send?.('ready')
}, 300)
