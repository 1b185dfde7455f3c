// Fastify, as an ES module.
import { readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))
const answer = `fastify ${version} ${process.pid}`
const app = Fastify({ bodyLimit: 10_000_000 })
const query = { type: 'object', properties: { ms: { type: 'integer', default: 0 } } }

async function* pieces(ms) {
  for (let piece = 0; piece < 10; piece++) {
    yield `piece ${piece}\n`
    await sleep(ms / 10)
  }
  yield `${answer}\n`
}

app.addContentTypeParser('*', { parseAs: 'buffer' }, (request, body, done) => done(null, body))
app.get('/', () => `${answer}\n`)
app.get('/slow', { schema: { querystring: query } }, async (request) => {
  await sleep(request.query.ms)
  return `${answer}\n`
})
app.get('/stream', { schema: { querystring: query } }, (request, reply) =>
  reply.type('text/plain').send(Readable.from(pieces(request.query.ms))),
)
app.post('/upload', (request) => `${answer} ${request.body.length}\n`)

await app.listen({ host: '0.0.0.0', port: Number(process.env.PORT ?? 8080) })
