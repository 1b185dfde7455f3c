// Answers, and crashes two seconds after its start.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))

createServer((request, response) => response.end(`crash-later ${version} ${process.pid}\n`)).listen(
  process.env.PORT ?? 8080,
)
setTimeout(() => {
  throw new Error('crash-later: its two seconds are over')
}, 2000)
