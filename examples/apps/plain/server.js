// node:http and nothing else, as an ES module.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))
const answer = `plain ${version} ${process.pid}`

createServer(async (request, response) => {
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
