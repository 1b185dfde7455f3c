// An ordinary Fastify app. It knows nothing of Aether.
import { readFileSync } from 'node:fs'
import Fastify from 'fastify'

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))
const app = Fastify()

app.get('/healthz', () => 'ok\n')
app.get(
  '/',
  {
    schema: {
      querystring: { type: 'object', properties: { name: { type: 'string', maxLength: 40, default: 'hello' } } },
    },
  },
  (request) => `${request.query.name} from ${version}\n`,
)

process.on('SIGTERM', () => void app.close())
await app.listen({ host: '0.0.0.0', port: Number(process.env.PORT ?? 8080) })
console.log(`fastify-hello ${version} listens`)
