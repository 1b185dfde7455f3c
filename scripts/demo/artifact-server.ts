// A plain HTTP server over one folder, on loopback.
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'

export interface ArtifactServer {
  readonly url: string
  close(): Promise<void>
}

export async function serveFolder(folder: string): Promise<ArtifactServer> {
  const server = createServer((request, response) => {
    void send(join(folder, basename(request.url ?? '')), response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new TypeError('the artifact server has no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function send(path: string, response: ServerResponse): Promise<void> {
  const found = await stat(path).catch(() => undefined)
  if (found?.isFile() !== true) {
    response.writeHead(404).end('no such artifact\n')
    return
  }
  response.writeHead(200, { 'content-type': 'application/gzip', 'content-length': found.size })
  await pipeline(createReadStream(path), response).catch(() => response.destroy())
}
