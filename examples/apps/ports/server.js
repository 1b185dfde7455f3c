// Two servers on two ports: PORT, and ADMIN_PORT.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))
const answer = `ports ${version} ${process.pid}`

function handle(request, response) {
  const url = new URL(request.url, 'http://app')
  const ms = Number(url.searchParams.get('ms') ?? 0)
  if (url.pathname === '/upload') {
    let bytes = 0
    request.on('data', (chunk) => {
      bytes += chunk.length
    })
    request.on('end', () => response.end(`${answer} ${bytes}\n`))
  } else if (url.pathname === '/slow') setTimeout(() => response.end(`${answer}\n`), ms)
  else if (url.pathname === '/stream') {
    let piece = 0
    const timer = setInterval(() => {
      if (piece < 10) return response.write(`piece ${piece++}\n`)
      clearInterval(timer)
      return response.end(`${answer}\n`)
    }, ms / 10)
  } else response.end(`${answer}\n`)
}

createServer(handle).listen(process.env.PORT ?? 8080)
createServer(handle).listen(process.env.ADMIN_PORT ?? 8081)
