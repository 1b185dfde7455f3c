// node:https, with the key and certificate that KEY_FILE and CERT_FILE name.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))
const answer = `https ${version} ${process.pid}`

const pair = { key: readFileSync(process.env.KEY_FILE), cert: readFileSync(process.env.CERT_FILE) }

createServer(pair, async (request, response) => {
  const url = new URL(request.url, 'http://app')
  const ms = Number(url.searchParams.get('ms') ?? 0)
  if (url.pathname === '/slow') await sleep(ms)
  if (url.pathname === '/stream') {
    for (let piece = 0; piece < 10; piece++) {
      response.write(`piece ${piece}\n`)
      await sleep(ms / 10)
    }
  }
  if (url.pathname !== '/upload') return response.end(`${answer}\n`)
  let bytes = 0
  for await (const chunk of request) bytes += chunk.length
  response.end(`${answer} ${bytes}\n`)
}).listen(process.env.PORT ?? 8080)
