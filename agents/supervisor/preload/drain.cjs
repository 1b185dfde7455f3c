// Drain: 1 every answer from now on says `Connection: close`  2 nothing more is accepted  3 HTTP/2 is told GOAWAY,
// WebSockets get a close frame  4 idle connections are left alone until they are quiet  5 told when none is left.
// The listening handles are closed below the server objects: an app that calls server.close() later finds them open.
'use strict'

const { handleOf } = require('./handle.cjs')

/** RFC 6455, 5.5.1 and 7.4.1: close, two bytes of payload, 1001 going away. */
const goingAway = Buffer.from([0x88, 0x02, 0x03, 0xe9])
const lookMs = 50
/** Looks without a connection: what another process accepted for this one may still be on its way. */
const emptyLooks = 4
/** From the first GOAWAY, which only warns, to the one that ends the session (RFC 9113, 6.8): a round trip. */
const goAwayMs = 100
const lastStream = 2 ** 31 - 1

exports.createDrain = (isMember, tracker, held, family, control) => {
  let isDraining = false
  let isDone = false

  family.onChange(tell)
  // 5
  function tell() {
    if (isDone && family.hasDrained()) control.say({ say: 'drained' })
  }

  // 1
  function lame() {
    tracker.eachAnswer(last)
    for (const socket of tracker.talking) tracker.lastAnswer(socket, last)
  }

  function begin({ quietMs, webSocketMs }) {
    if (isDraining) return
    isDraining = true
    // Until SIGTERM comes: the app's own handler of it is to run.
    control.hold()
    // A process that was forked is ended by its parent, some by closing the channel alone.
    if (isMember) process.once('disconnect', control.letGo)
    lame()
    const inFlight = [...tracker.talking].filter((socket) => tracker.answerOf(socket) !== undefined).length
    control.say({ say: 'draining', inFlight, connections: tracker.raw.size })
    // 2
    held.close()
    for (const handle of tracker.handles) stopListening(handle)
    for (const server of tracker.servers) if (!tracker.isByPrimary(server)) stopListening(handleOf(server))
    for (const session of tracker.sessions) endSession(session) // 3
    for (const socket of tracker.talking)
      if (tracker.upgradeOf(socket) === 'websocket') endWebSocket(socket, webSocketMs)
    const seen = new Map()
    let empty = 0
    const timer = setInterval(look, lookMs)
    look()

    function look() {
      empty = tracker.hasConnections() ? 0 : empty + 1
      if (empty > (isMember ? emptyLooks : 0)) {
        clearInterval(timer)
        isDone = true
        tell()
      } else for (const socket of tracker.talking) if (isIdle(socket) && isQuiet(socket)) socket.end() // 4
    }
    function isIdle(socket) {
      return (
        tracker.answerOf(socket) === undefined &&
        tracker.upgradeOf(socket) === undefined &&
        socket.alpnProtocol !== 'h2'
      )
    }
    function isQuiet(socket) {
      const bytes = socket.bytesRead + socket.bytesWritten
      const before = seen.get(socket)
      if (before?.bytes === bytes) return performance.now() - before.at >= quietMs
      seen.set(socket, { bytes, at: performance.now() })
      return false
    }
  }
  return { lame, begin }
}

function last(answer) {
  if (answer.headersSent || !answer.shouldKeepAlive) return
  answer.shouldKeepAlive = false
  // An app that names the header itself, as proxies do, would keep the connection: that of an answer without one is ours.
  const writeHead = answer.writeHead
  answer.writeHead = function (...args) {
    const given = args.at(-1)
    if (typeof given === 'object' && given !== null && !Array.isArray(given)) {
      const names = Object.keys(given).filter((name) => name.toLowerCase() === 'connection')
      args[args.length - 1] = { ...given, ...Object.fromEntries(names.map((name) => [name, 'close'])) }
    }
    if (answer.hasHeader('connection')) answer.setHeader('connection', 'close')
    return writeHead.apply(answer, args)
  }
}

function stopListening(handle) {
  if (!handle || handle.fd < 0) return
  const address = {}
  handle.getsockname?.(address)
  // server.address() goes on answering.
  handle.getsockname = (out) => {
    Object.assign(out, address)
    return 0
  }
  handle.close()
}

function endSession(session) {
  if (session.destroyed) return
  session.goaway(0, lastStream)
  setTimeout(() => !session.destroyed && session.close(), goAwayMs)
}

function endWebSocket(socket, deadlineMs) {
  if (!socket.writable) return
  socket.write(goingAway)
  setTimeout(() => socket.end(() => socket.destroy()), deadlineMs).unref()
}
