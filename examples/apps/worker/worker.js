// Has no port: ten times a second it adds its line to the file that NOTES names, or to stdout.
import { appendFileSync, readFileSync } from 'node:fs'

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))
const line = `worker ${version} ${process.pid}\n`

setInterval(() => {
  if (process.env.NOTES === undefined) process.stdout.write(line)
  else appendFileSync(process.env.NOTES, line)
}, 100)
