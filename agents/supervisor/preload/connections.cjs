// What a drain has to know of each connection, kept as cheaply as can be: a set of sockets. Which answer is under way on one is
// asked of Node when a drain begins: to be told of each request costs a small app 3 percent of what it can serve.
'use strict'

const { subscribe, unsubscribe } = require('node:diagnostics_channel')
const { handleOf } = require('./handle.cjs')
const { kindOf } = require('./kind.cjs')

const requestStart = 'http.server.request.start'
const kUpgrade = Symbol('aether.upgrade')

/**
 * `onForeign` is called once, when a request comes by a server that does not listen here: another process accepted it, as it may
 * for one that was forked (`isMember`), or something else of this one did.
 */
exports.createTracker = (isMember, onForeign) => {
  const servers = new Set()
  const byPrimary = new Set()
  /** Without TLS: where such a socket has no handle any more, it was sent to another process, and never says so. */
  const plain = new WeakSet()
  let pruneAt = 1000
  const handles = new Set()
  const raw = new Set()
  const talking = new Set()
  const sessions = new Set()
  let onAnswer = () => {}
  let hasForeign = false
  let isTold = false
  /** Requests may come by a server that does not listen here. */
  let mayBeForeign = isMember
  let isDraining = false

  function tellEach() {
    if (!isTold) subscribe(requestStart, begun)
    isTold = true
  }
  function begun({ response, socket, server }) {
    onAnswer(response)
    if (!servers.has(server)) adopt(server, socket)
    else if (!mayBeForeign && !isDraining) {
      unsubscribe(requestStart, begun)
      isTold = false
    }
  }
  /** From now on each request is told. */
  function expectForeign() {
    mayBeForeign = true
    tellEach()
  }
  tellEach()

  function prune() {
    for (const socket of raw) if (plain.has(socket) && handleOf(socket) === null) raw.delete(socket)
    pruneAt = Math.max(1000, 2 * raw.size)
  }

  /** Sent by the process that accepts, or accepted by a server on a port of no name. */
  function adopt(server, socket) {
    if (talking.has(socket)) return
    watchUpgrades(server)
    keep(talking, socket)
    keep(raw, socket)
    if (!hasForeign) onForeign()
    hasForeign = true
  }

  return {
    /** Those that listen here, or for which the primary of a cluster does. */
    servers,
    /** What this process listens on as the primary of a cluster. */
    handles,
    /** Every TCP connection. */
    raw,
    /** The streams that HTTP/1 may be spoken on: the same, or what TLS makes of them. */
    talking,
    /** HTTP/2. */
    sessions,
    hasConnections() {
      if (raw.size > 0) prune()
      return raw.size > 0
    },
    /** A server listens that is not tracked, or what one accepts may be given to another. */
    expectForeign,
    /** Called with each answer that is begun from now on. */
    eachAnswer(handler) {
      onAnswer = handler
      isDraining = true
      tellEach()
    },
    /** Its primary accepts for it. */
    isByPrimary: (server) => byPrimary.has(server),
    answerOf,
    /** Calls `handler` with the last answer that is begun on the socket, which of several requests sent at once may be a later one. */
    lastAnswer(socket, handler) {
      const answer = answerOf(socket)
      if (answer === undefined) return
      if (isLastRequest(socket, answer)) handler(answer)
      else answer.once('finish', () => this.lastAnswer(socket, handler))
    },
    /** `websocket`, another protocol, or undefined where it is still HTTP. */
    upgradeOf: (socket) => socket[kUpgrade],
    track(server, isByPrimary = false) {
      if (servers.has(server)) return
      servers.add(server)
      if (isByPrimary) byPrimary.add(server)
      const kind = kindOf(server)
      if (kind === 'tcp' || kind === 'tls') expectForeign()
      server.on('connection', (socket) => {
        keep(raw, socket)
        if (kind === 'http' || kind === 'tcp') plain.add(socket)
        if (raw.size >= pruneAt) prune()
      })
      if (kind === 'http') server.on('connection', (socket) => keep(talking, socket))
      if (kind === 'https' || kind === 'h2') server.on('secureConnection', (socket) => keep(talking, socket))
      if (kind === 'h2' || kind === 'h2c') server.on('session', (session) => keep(sessions, session))
      watchUpgrades(server)
    },
  }
}

/** The answer that is under way on it. */
function answerOf(socket) {
  // oxlint-disable-next-line no-underscore-dangle -- it has no other name: what node:http attaches to a socket while it is written
  const answer = socket._httpMessage
  return !answer || answer.writableFinished || answer.destroyed ? undefined : answer
}

/** The parser holds the request that it read last, until that one is answered. */
function isLastRequest(socket, answer) {
  const read = socket.parser?.incoming
  return !read || read === answer.req
}

function keep(set, one) {
  set.add(one)
  one.once('close', () => set.delete(one))
}

const watched = new WeakSet()

/** Listens for upgrades only where the app does: a server without such a listener treats them as plain requests. */
function watchUpgrades(server) {
  if (watched.has(server)) return
  watched.add(server)
  const note = (request, socket) => {
    socket[kUpgrade] = String(request.headers.upgrade ?? request.method).toLowerCase()
  }
  for (const event of ['upgrade', 'connect']) {
    let isWatched = false
    const watch = () => {
      if (isWatched) return
      isWatched = true
      server.prependListener(event, note)
    }
    if (server.listenerCount(event) > 0) watch()
    else server.on('newListener', (name) => name === event && watch())
  }
}
