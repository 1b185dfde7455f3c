// net.Server.prototype.listen, through which http, https, http2 and every framework go.
//  a port that the supervisor holds: its socket is listened on, and nothing is accepted before `go`
//  any other port: bound as without us; once the app is ready its socket is handed to the supervisor, for the next process
//  port 0, pipes, descriptors: as without us; a unix socket is told, because two processes cannot share its path
'use strict'

const cluster = require('node:cluster')
const { closeSync } = require('node:fs')
const net = require('node:net')
const { handleOf } = require('./handle.cjs')
const { kindOf } = require('./kind.cjs')

/** A server that is opened later is handed over when it is still there after this. */
const settledMs = 1000

exports.installListen = ({ held, isHolding, port: mainPort, asksPath }, tracker, control) => {
  const listen = net.Server.prototype.listen
  const send = typeof process.send === 'function' ? process.send.bind(process) : undefined
  const waiting = []
  const toHand = []
  let isHanding = false
  let holding = isHolding
  if (holding) control.hold()

  function go() {
    if (!holding) return
    holding = false
    for (const start of waiting.splice(0)) start()
    control.say({ say: 'went' })
    control.letGo()
  }

  net.Server.prototype.listen = function (...args) {
    const asked = readArguments(args)
    if (asked === undefined) return listen.apply(this, args)
    if (asked.path !== undefined) {
      control.say({ say: 'unheld', why: `it listens on the unix socket ${asked.path}` })
      return listen.apply(this, args)
    }
    if (cluster.isWorker || Object.keys(cluster.workers ?? {}).length > 0) {
      const why = 'it uses the cluster module: its workers cannot be drained from outside'
      control.say({ say: 'unheld', why, isConflict: held.some((one) => one.port === asked.port) })
      return listen.apply(this, args)
    }
    const entry = held.find((one) => !one.isTaken && isFor(one, asked))
    tracker.track(this)
    this.once('listening', () => {
      if (entry === undefined && holding) park(handleOf(this))
      if (entry === undefined) prepareToHand(this, asked)
      // Not at once: who only looks whether the port is free closes it in this same turn.
      setImmediate(() => handleOf(this) && report(this, entry ?? asked))
    })
    if (entry !== undefined) return take(this, entry, asked, args)
    if (held.some((one) => !one.isTaken && one.port === asked.port)) {
      const why = `it listens on port ${asked.port} of another address than the release before`
      control.say({ say: 'unheld', why, isConflict: true })
    }
    return listen.apply(this, args)
  }

  function take(server, entry, asked, args) {
    entry.isTaken = true
    // A socket object carries the descriptor into listen(handle). Said not to be readable, it is never read either.
    entry.carrier ??= new net.Socket({ fd: entry.fd, readable: false, writable: false })
    const handle = handleOf(entry.carrier)
    const { listen: start, close } = Object.getPrototypeOf(handle)
    handle.listen = (backlog) => {
      if (!holding) return start.call(handle, backlog)
      waiting.push(() => {
        if (handleOf(server) === handle) start.call(handle, backlog)
      })
      return 0
    }
    // Closed before it accepted anything, as by who only looks whether a port is free: it can be had again.
    handle.close = (...rest) => {
      if (!holding) return close.apply(handle, rest)
      entry.isTaken = false
      return undefined
    }
    asked.signal?.addEventListener('abort', () => server.close(), { once: true })
    const callback = args.findLast((arg) => typeof arg === 'function')
    const rest = callback === undefined ? [] : [callback]
    return listen.call(server, entry.carrier, asked.backlog || 511, ...rest)
  }

  /** At once, because who connected to the port may already have sent `hand`. */
  function prepareToHand(server, { port, host, ipv6Only }) {
    const up = () => handUp(server, { aether: 'socket', port, host, ipv6Only })
    if (isHanding) setTimeout(up, settledMs).unref()
    else toHand.push(up)
  }

  function report(server, { port, host, ipv6Only }) {
    const listening = { say: 'listening', port, host, ipv6Only, kind: kindOf(server) }
    if (holding && asksPath && port === mainPort) openDoor(server, listening)
    else control.say(listening)
  }

  /** From when the app is ready on: before, a server may have been there only to see whether its port is free. */
  function hand() {
    isHanding = true
    setImmediate(() => {
      for (const up of toHand.splice(0)) up()
    })
  }

  function handUp(server, message) {
    const handle = handleOf(server)
    if (!handle) return
    const failed = (error) => {
      if (error) control.say({ say: 'unheld', why: `its socket cannot be handed over: ${error.message}` })
    }
    if (send === undefined || !process.connected) failed(new Error('the channel of process.send is closed'))
    else send(message, handle, undefined, failed)
  }

  /** The question whether it is ready comes in by a door of its own, while the shared one is still closed. */
  function openDoor(server, listening) {
    const door = net.createServer({ allowHalfOpen: true }, (socket) => server.emit('connection', socket))
    door.on('error', () => control.say(listening))
    door.listen(0, '127.0.0.1', () => {
      control.say({ ...listening, door: door.address().port })
      door.unref()
    })
  }

  /** A port nobody served before: connections wait here, because there is no other process that could take them. */
  function park(handle) {
    const accept = handle.onconnection
    handle.onconnection = function (...args) {
      if (holding) waiting.push(() => accept.apply(handle, args))
      else accept.apply(handle, args)
    }
  }
  /** What nobody took is let go: as long as a descriptor is open here, the port would look as if somebody answered. */
  function forget() {
    for (const one of held.splice(0)) {
      if (one.isTaken) continue
      if (one.carrier === undefined) closeSync(one.fd)
      else handleOf(one.carrier).close()
    }
  }
  return { go, hand, forget }
}

/** What is asked for, as net reads it; undefined for what is left alone. */
function readArguments(args) {
  const first = args[0]
  const options = typeof first === 'object' && first !== null ? first : undefined
  if (options !== undefined && (handleOf(options) || options.handle || typeof options.fd === 'number')) return undefined
  const port = toPort(options === undefined ? first : options.port)
  const path = options === undefined ? first : options.path
  if (port === undefined) return typeof path === 'string' && Number.isNaN(Number(path)) ? { path } : undefined
  const host = options === undefined ? args[1] : options.host
  return {
    port,
    host: typeof host === 'string' ? host : '',
    ipv6Only: options?.ipv6Only === true,
    backlog: options?.backlog ?? args.slice(1, 3).find((arg) => typeof arg === 'number'),
    signal: options?.signal,
  }
}

function toPort(value) {
  const isOne = typeof value === 'number' || (typeof value === 'string' && value.trim() !== '')
  const port = isOne ? Number(value) : 0
  return Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined
}

function isFor(held, asked) {
  if (held.port !== asked.port || held.ipv6Only !== asked.ipv6Only) return false
  // A socket of all addresses takes the connections of 0.0.0.0 too; one of some address is another socket.
  return held.host === asked.host || (isAny(held.host) && (isAny(asked.host) || asked.host === '0.0.0.0'))
}

function isAny(host) {
  return host === '' || host === '::'
}
