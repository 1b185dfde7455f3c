// net.Server.prototype.listen, through which http, https, http2, every framework and the primary of a cluster go.
//  a socket that the supervisor holds: it is listened on, and nothing is accepted before `go`
//  any other port or path: bound as without us; once the app is ready its socket is handed up, for the next process
//  port 0, descriptors, handles: as without us
'use strict'

const cluster = require('node:cluster')
const net = require('node:net')
const { isFor, keyOf, readArguments } = require('./asked.cjs')
const { handleOf } = require('./handle.cjs')
const { kindOf } = require('./kind.cjs')
const { beforeListen2, keepPath, listenThroughFolder, removePath } = require('./unix.cjs')

/** A server that is opened later is handed over when it is still there after this. */
const settledMs = 1000

exports.installListen = (settings, held, handUp, tracker, control) => {
  const { isHolding, port: mainPort, asksPath, family } = settings
  const listen = net.Server.prototype.listen
  const waiting = []
  const toHand = []
  /** What the primary of a cluster listens on; its workers listen, and never see the handle. */
  const forWorkers = []
  /** What each server was asked last: what came before failed, and it never listened. */
  const latest = new WeakMap()
  let isHanding = false
  let holding = isHolding
  if (holding) control.hold()

  net.Server.prototype.listen = function (...args) {
    const asked = readArguments(args)
    if (asked === undefined) {
      tracker.expectForeign()
      if (family !== undefined) shareHandle(this, args[0])
      return listen.apply(this, args)
    }
    if (cluster.isWorker && !asked.isExclusive) return listenByPrimary(this, asked, args)
    if (family !== undefined && asked.isReused) {
      const why =
        'processes that it forks listen on one port with reusePort: what waits in the queue of one is lost with it'
      control.say({ say: 'unheld', why })
    }
    const entry = held.find(asked)
    let isLasting = true
    latest.set(this, asked)
    tracker.track(this)
    this.once('listening', () => {
      const handle = handleOf(this)
      if (!handle || latest.get(this) !== asked) return
      if (entry === undefined) held.claim(keyOf(asked), asked)
      held.opened(keyOf(entry ?? asked), handle)
      beforeClose(handle, () => {
        held.closed(handle)
        tracker.handles.delete(handle)
        asked.unclaim?.()
        if (entry === undefined && isLasting && !asked.isHanded) removePath(asked.path)
      })
      if (!isLasting) {
        const why = `its unix socket ${asked.path} cannot be bound so that it outlives its process`
        control.say({ say: 'unheld', why })
      }
      // By then the primary of a cluster has taken the handle out of the server that it made for it.
      process.nextTick(() => {
        const isTaken = handleOf(this) === null && handle.fd >= 0 && entry?.isTaken !== false
        if (isTaken) forWorkers.push({ key: keyOf(entry ?? asked), handle, isKnown: false })
        if (isTaken) tracker.handles.add(handle)
        if (entry === undefined && holding) park(handle)
        if (entry === undefined && isLasting)
          prepareToHand(() => (isTaken || handleOf(this) === handle) && handle, asked)
        // Not at once: who only looks whether the port is free closes it in this same turn.
        setImmediate(() => !isTaken && handleOf(this) && report(this, entry ?? asked))
      })
    })
    if (entry !== undefined) return take(this, entry, asked, args)
    if (held.isInTheWay(asked)) {
      const why = `it listens on port ${asked.port} of another address than the release before`
      control.say({ say: 'unheld', why, isConflict: true })
    }
    if (asked.path === '') return listen.apply(this, args)
    isLasting = listenThroughFolder(this, asked.path, () => listen.apply(this, args))
    return this
  }

  function take(server, entry, asked, args) {
    entry.isTaken = true
    if (!holding) control.say({ say: 'again', ...keyOf(entry) })
    const handle = held.handleOf(entry)
    deferListen(server, handle)
    const { close } = Object.getPrototypeOf(handle)
    // Closed before it accepted anything, as by who only looks whether a port is free: it can be had again.
    handle.close = (...rest) => {
      asked.unclaim?.()
      if (holding) {
        entry.isTaken = false
        return undefined
      }
      held.spent(entry)
      return close.apply(handle, rest)
    }
    if (asked.path !== '') {
      // By the first one that listened on it; its name in the kernel leads nowhere any more.
      handle.fchmod = () => 0
      return beforeListen2(
        server,
        () => handle,
        () => listen.apply(server, args),
      )
    }
    asked.signal?.addEventListener('abort', () => server.close(), { once: true })
    const callback = args.findLast((arg) => typeof arg === 'function')
    const rest = callback === undefined ? [] : [callback]
    return listen.call(server, { _handle: handle }, asked.backlog || 511, ...rest)
  }

  /** The handle is listened on at once, or when `go` comes. */
  function deferListen(server, handle) {
    const { listen: start } = Object.getPrototypeOf(handle)
    handle.listen = (backlog) => {
      if (!holding) return start.call(handle, backlog)
      waiting.push(() => {
        const isTaken = forWorkers.some((one) => one.handle === handle)
        if (isTaken || handleOf(server) === handle) start.call(handle, backlog)
      })
      return 0
    }
  }

  /** In a worker of a cluster: its primary binds, accepts and hands out, so there is nothing to hold back or to close here. */
  function listenByPrimary(server, asked, args) {
    tracker.track(server, true)
    server.once('listening', () => {
      const handle = handleOf(server)
      if (typeof handle?.fd === 'number') {
        const why = 'its cluster has the scheduling policy SCHED_NONE: each worker accepts by itself'
        control.say({ say: 'unheld', why, isConflict: held.isHeld(asked) })
      } else setImmediate(() => handleOf(server) && report(server, asked, true))
    })
    return listen.apply(server, args)
  }

  /** In a process that the app forked: a server or handle that its parent sent, whose socket both listen on. */
  function shareHandle(server, given) {
    const handle = handleOf(given ?? {}) ?? given?.handle ?? given
    if (typeof handle?.listen !== 'function' || typeof handle.fd !== 'number') return
    tracker.track(server)
    if (holding) deferListen(server, handle)
  }

  function prepareToHand(find, asked) {
    const up = () => {
      const handle = find()
      if (!handle || handle.fd < 0) return
      asked.isHanded = true
      if (asked.path !== '') keepPath(asked.path)
      handUp(keyOf(asked), handle)
    }
    if (isHanding) setTimeout(up, settledMs).unref()
    else toHand.push(up)
  }

  function isMain({ port, path }) {
    return mainPort === 0 ? path !== '' : port === mainPort
  }

  function report(server, asked, isOfCluster = false) {
    const listening = { say: 'listening', ...keyOf(asked), kind: kindOf(server), isOfCluster }
    if (!isOfCluster && holding && asksPath && isMain(asked))
      openDoor(listening, (door) => door.on('connection', (socket) => server.emit('connection', socket)))
    else control.say(listening)
  }

  /** What a worker of the cluster said: told once, under the name of the socket that this process has for it. */
  function workerListens(said) {
    const found =
      forWorkers.find(({ key }) => isFor(key, said)) ??
      forWorkers.find(({ key }) => key.port === said.port && key.path === said.path)
    if (found === undefined || found.isKnown) return
    found.isKnown = true
    const { handle, key } = found
    const listening = { ...said, ...key, isOfCluster: false }
    if (holding && asksPath && isMain(key))
      openDoor(listening, (door) => {
        handleOf(door).onconnection = (...args) => handle.onconnection(...args)
      })
    else control.say(listening)
  }

  /** The question whether it is ready comes in by a door of its own, while the shared one is still closed. */
  function openDoor(listening, lead) {
    const door = net.createServer({ allowHalfOpen: true })
    door.on('error', () => control.say(listening))
    // By a handle: net would load its resolver for the address, 10 ms.
    // oxlint-disable-next-line no-underscore-dangle -- there is no other name for it
    const handle = net._createServerHandle('127.0.0.1', 0, 4)
    if (typeof handle === 'number') {
      control.say(listening)
      return
    }
    listen.call(door, { _handle: handle }, () => {
      lead(door)
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

  return {
    isHolding: () => holding,
    workerListens,
    go() {
      if (!holding) return
      holding = false
      for (const start of waiting.splice(0)) start()
      control.say({ say: 'went' })
      control.letGo()
    },
    /** From when the app is ready on: before, a server may have been there only to see whether its port is free. */
    hand() {
      isHanding = true
      for (const entry of held.taken()) control.say({ say: 'again', ...keyOf(entry) })
      // Who connected to the port may already have sent this.
      setImmediate(() => {
        for (const up of toHand.splice(0)) up()
      })
    },
  }
}

function beforeClose(handle, first) {
  const { close } = handle
  handle.close = (...args) => {
    first()
    return close.apply(handle, args)
  }
}
