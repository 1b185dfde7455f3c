// What a spare does while there is no release for it: it loads what most apps load of Node, and answers one request of its own,
// because code that has run once runs at once. Nothing of ours is installed by then, and nothing of an app.
'use strict'

const { connect } = require('node:net')

/** Modules of Node that nearly every server loads, each a few milliseconds. */
const usual = [
  'http',
  'https',
  'crypto',
  'stream',
  'stream/promises',
  'url',
  'util',
  'fs/promises',
  'zlib',
  'querystring',
]

const nothing = 'data:text/javascript,0'
const longestMs = 1000
/** Options by which somebody else's code comes in, which would take the request for the app's. */
const preloads = /(?:^|\s)(?:-r|--require|--import|--loader|--experimental-loader)(?:=|\s)/

/** Never rejects: what is not warm is slower, and nothing else. */
exports.warmUp = async ({ hasUndici, nodeOptions }) => {
  // Nothing else keeps the process, or bounds how long this takes.
  let timer
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, longestMs)
  })
  await Promise.race([warm(hasUndici, preloads.test(nodeOptions ?? '')), late]).catch(() => {})
  clearTimeout(timer)
}

async function warm(hasUndici, hasPreloads) {
  for (const name of usual) require(`node:${name}`)
  // The loader of ES modules is made when first asked for.
  await import(nothing)
  // Who imports node:http gets its WebSocket made, and with it Node's own undici: 30 ms, and 7 MB that others do not pay.
  if (hasUndici) await import('node:http')
  if (!hasPreloads) await answerOne()
}

function answerOne() {
  const { createServer } = require('node:http')
  return new Promise((resolve, reject) => {
    const server = createServer((_, response) => response.setHeader('content-type', 'text/plain').end('ok'))
    server.once('error', reject)
    // By name, as frameworks do: that is what loads the resolver.
    server.listen(0, '127.0.0.1', () => {
      const socket = connect(server.address().port, '127.0.0.1')
      socket.once('error', reject)
      socket.once('close', () => server.close(resolve))
      socket.resume().end('GET / HTTP/1.1\r\nhost: spare\r\nconnection: close\r\n\r\n')
    })
  })
}

/** Whether Node has loaded its undici in this process; it tells in no other way. */
exports.hasUndici = () => process.moduleLoadList?.includes('NativeModule internal/deps/undici/undici') === true
