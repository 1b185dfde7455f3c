// Notes its start in the file that NOTES names, where its migration has noted itself before.
import { appendFileSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))

createServer((request, response) => response.end(`before-serve ${version} ${process.pid}\n`)).listen(
  process.env.PORT ?? 8080,
  () => {
    if (process.env.NOTES !== undefined) appendFileSync(process.env.NOTES, `listens ${version}\n`)
  },
)
