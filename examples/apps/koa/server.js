// Koa.
import { readFileSync } from 'node:fs'
import Koa from 'koa'

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))
const app = new Koa()

app.use((context) => {
  context.body = `koa ${version} ${process.pid}\n`
})
app.listen(process.env.PORT ?? 8080)
