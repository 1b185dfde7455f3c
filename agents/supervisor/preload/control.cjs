// A pipe of JSON lines, apart from the app's own process.send: up to the supervisor, or down to a process that the app
// forked. It keeps the process alive only while somebody holds it.
'use strict'

exports.createControl = (pipe) => {
  const handlers = new Map()
  let holders = 0
  let rest = ''
  pipe.unref()
  // The other end is gone: there is nobody left to listen to.
  pipe.on('error', () => {})
  pipe.setEncoding('utf8').on('data', (piece) => {
    const lines = (rest + piece).split('\n')
    rest = lines.pop()
    for (const line of lines) {
      const said = parse(line)
      handlers.get(said?.do ?? said?.say)?.(said)
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

function parse(line) {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
