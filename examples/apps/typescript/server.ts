// TypeScript, run by Node's own stripping of types.
import { readFileSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import { answerOf } from './answer.ts'

const manifest: { version: string } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))

createServer((_request, response: ServerResponse) => response.end(answerOf(manifest.version))).listen(
  process.env.PORT ?? 8080,
)
