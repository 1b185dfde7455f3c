// Two of it cannot live side by side: the second ends with code 1 while the file that LOCK_FILE names is held.
import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { createServer } from 'node:http'

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))
const path = process.env.LOCK_FILE

function isHeld() {
  try {
    process.kill(Number(readFileSync(path, 'utf8')), 0)
    return true
  } catch {
    return false
  }
}

if (isHeld()) {
  console.error(`lock: another process holds ${path}`)
  process.exit(1)
}
rmSync(path, { force: true })
const file = openSync(path, 'wx')
writeSync(file, String(process.pid))
closeSync(file)

createServer((request, response) => response.end(`lock ${version} ${process.pid}\n`)).listen(process.env.PORT ?? 8080)
