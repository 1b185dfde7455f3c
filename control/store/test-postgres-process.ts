// For benches: a PostgreSQL of their own as a process; says its URL in a line, and takes it away on SIGTERM.
import { startPostgres } from './test-postgres.ts'

const postgres = await startPostgres()
process.once('SIGTERM', () => void postgres.remove().then(() => process.exit()))
setInterval(() => {}, 60_000)
process.stdout.write(`${postgres.url}\n`)
