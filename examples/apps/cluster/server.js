// node:cluster by the app itself: two workers, and another one for each that ends.
import cluster from 'node:cluster'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))

if (cluster.isPrimary) {
  cluster.fork()
  cluster.fork()
  cluster.on('exit', () => cluster.fork())
} else {
  createServer((request, response) => response.end(`cluster ${version} ${process.pid}\n`)).listen(
    process.env.PORT ?? 8080,
  )
}
