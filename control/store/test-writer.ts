// For tests: a process that opens a store on the URL of its first argument ('' for the embedded one in the folder of the
// second), makes the app of the third, says each, and stays.
import { openStore } from './open.ts'

const [databaseUrl = '', dataFolder = '', app] = process.argv.slice(2)
if (app === undefined) throw new Error('say a URL, a folder and an app')
const store = await openStore({ databaseUrl: databaseUrl === '' ? undefined : databaseUrl, dataFolder })
process.once('SIGTERM', () => void store.close().then(() => process.exit()))
setInterval(() => {}, 60_000)
process.stdout.write('open\n')
await store.createApp(app)
process.stdout.write(`made ${app}\n`)
