// Runs before the release may serve (package.json, aether.beforeServe). Fails where BEFORE_SERVE is `fail`.
import { appendFileSync, readFileSync } from 'node:fs'

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))

if (process.env.BEFORE_SERVE === 'fail') {
  console.error(`before-serve: the migration to ${version} failed`)
  process.exit(1)
}
if (process.env.NOTES !== undefined) appendFileSync(process.env.NOTES, `migrated ${version}\n`)
