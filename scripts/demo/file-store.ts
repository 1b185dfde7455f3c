// A folder behind HTTP, as a bucket is.
import { mkdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'

export interface FileStore {
  readonly origin: string
  readonly folder: string
  close(): void
}

export async function openFileStore(folder: string): Promise<FileStore> {
  await mkdir(folder, { recursive: true })
  const server = createServer((request, response) => {
    const [path = ''] = (request.url ?? '').split('?')
    readFile(join(folder, path)).then(
      (bytes) => response.writeHead(200, { 'content-length': bytes.length }).end(bytes),
      () => response.writeHead(404).end('there is nothing here\n'),
    )
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the file server has no port')
  const close = () => {
    server.close()
    server.closeAllConnections()
  }
  return { origin: `http://127.0.0.1:${address.port}`, folder, close }
}
