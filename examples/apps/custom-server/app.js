// What a framework gives to a custom server: something to prepare, and handlers that are there only then. A page is made of
// data that the server asks itself for, over connections that it keeps.
import { readFileSync } from 'node:fs'
import { Agent, get } from 'node:http'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))
const agent = new Agent({ keepAlive: true })

export function createApp({ port }) {
  let isPrepared = false

  function ask(path) {
    return new Promise((resolve, reject) => {
      const asked = get({ port, path, agent }, (response) => {
        text(response).then(resolve, reject)
      })
      asked.on('error', reject)
    })
  }
  function whenPrepared(handler) {
    return (...args) => {
      if (!isPrepared) throw new Error('prepare() was not waited for')
      return handler(...args)
    }
  }
  return {
    async prepare() {
      await sleep(100)
      isPrepared = true
    },
    getRequestHandler: () =>
      whenPrepared(async (request, response) => {
        if (request.url === '/api/name') return response.end('custom-server')
        // From another release's process too, while two serve.
        const name = await ask('/api/name')
        return response.end(`${name} ${version} ${process.pid}\n`)
      }),
    getUpgradeHandler: () =>
      whenPrepared((request, socket) => {
        socket.on('error', () => {})
        socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: Upgrade\r\n\r\n')
        socket.pipe(socket)
      }),
  }
}
