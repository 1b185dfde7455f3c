// What a spare does while there is no release for it: it loads what most apps load of Node, and answers one request of its own,
// because code that has run once runs at once. Nothing of ours is installed by then, and nothing of an app.
'use strict'

const { connect } = require('node:net')

/** Modules of Node that servers load, each up to some milliseconds; none of them warns when it is loaded. */
const known = [
  'assert',
  'async_hooks',
  'crypto',
  'dgram',
  'dns',
  'dns/promises',
  'fs/promises',
  'http',
  'http2',
  'https',
  'perf_hooks',
  'querystring',
  'readline',
  'stream/consumers',
  'stream/promises',
  'stream/web',
  'string_decoder',
  'timers/promises',
  'url',
  'util',
  'v8',
  'vm',
  'zlib',
]

/**
 * What an import of a module loads beyond what `require` does, because it reads all that is exported: node:http makes its
 * WebSocket, and with it Node's own undici (30 ms, 7 MB). Whoever has it is named by the file inside Node.
 */
const imported = { 'internal/deps/undici/undici': 'http', 'internal/fs/streams': 'fs' }

const nothing = 'data:text/javascript,0'
const longestMs = 1000
/** Options by which somebody else's code comes in, which would take the request for the app's. */
const preloads = /(?:^|\s)(?:-r|--require|--import|--loader|--experimental-loader)(?:=|\s)/

/** Never rejects: what is not warm is slower, and nothing else. */
exports.warmUp = async ({ modules, nodeOptions }) => {
  const over = new AbortController()
  // Nothing else keeps the process, or bounds how long this takes.
  const late = new Promise((resolve) => {
    const timer = setTimeout(resolve, longestMs)
    over.signal.addEventListener('abort', () => clearTimeout(timer))
  })
  const done = warm(new Set(modules), preloads.test(nodeOptions ?? ''), over.signal)
  await Promise.race([done, late]).catch(() => {})
  over.abort()
}

async function warm(modules, hasPreloads, signal) {
  for (const name of known) if (modules.has(name)) require(`node:${name}`)
  // The loader of ES modules is made when first asked for.
  await import(nothing)
  for (const [inside, name] of Object.entries(imported)) if (modules.has(inside)) await import(`node:${name}`)
  if (!hasPreloads) await answerOne(signal)
}

/** Nothing of it is left when `signal` is aborted. */
function answerOne(signal) {
  const { createServer } = require('node:http')
  return new Promise((resolve, reject) => {
    const server = createServer((_, response) => response.setHeader('content-type', 'text/plain').end('ok'))
    server.once('error', reject)
    // By an address, as frameworks do: that is what loads the resolver.
    server.listen({ port: 0, host: '127.0.0.1', signal }, () => {
      const socket = connect({ port: server.address().port, host: '127.0.0.1', signal })
      socket.once('error', reject)
      socket.once('close', () => server.close(resolve))
      socket.resume().end('GET / HTTP/1.1\r\nhost: spare\r\nconnection: close\r\n\r\n')
    })
  })
}

/** What of that has been loaded in this process. */
exports.loadedModules = () => {
  const loaded = new Set(process.moduleLoadList)
  return [...known, ...Object.keys(imported)].filter((name) => loaded.has(`NativeModule ${name}`))
}
