// The pipe to the supervisor: JSON lines both ways, apart from the app's own process.send. It keeps the process alive
// only while somebody holds it.
'use strict'

const net = require('node:net')

exports.createControl = (fd) => {
  const pipe = new net.Socket({ fd, readable: true, writable: true })
  const handlers = new Map()
  let holders = 0
  let rest = ''
  pipe.unref()
  // The supervisor ended: there is nobody left to listen to.
  pipe.on('error', () => {})
  pipe.on('close', () => {})
  pipe.setEncoding('utf8').on('data', (piece) => {
    const lines = (rest + piece).split('\n')
    rest = lines.pop()
    for (const line of lines) {
      const order = JSON.parse(line)
      handlers.get(order.do)?.(order)
    }
  })
  return {
    on: (name, handler) => handlers.set(name, handler),
    say(message) {
      if (!pipe.destroyed) pipe.write(`${JSON.stringify(message)}\n`)
    },
    /** The process stays until each holder let go: a server that does not accept yet would not keep it. */
    hold() {
      if (holders++ === 0) pipe.ref()
    },
    letGo() {
      if (--holders === 0) pipe.unref()
    },
  }
}
