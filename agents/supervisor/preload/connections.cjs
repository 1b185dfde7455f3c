// What a drain has to know of each connection, kept as cheaply as can be: a set of sockets, and the answer under way on each.
'use strict'

const { subscribe } = require('node:diagnostics_channel')
const { handleOf } = require('./handle.cjs')
const { kindOf } = require('./kind.cjs')

const kAnswer = Symbol('aether.answer')
const kUpgrade = Symbol('aether.upgrade')

/** `onForeign` is called once, when a request comes by a server that does not listen here: another process accepted it. */
exports.createTracker = (onForeign) => {
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

  subscribe('http.server.request.start', ({ response, socket, server }) => {
    socket[kAnswer] = response
    onAnswer(response)
    if (!servers.has(server)) adopt(server, socket)
  })

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
    /** Called with each answer that is begun from now on. */
    eachAnswer(handler) {
      onAnswer = handler
    },
    /** Its primary accepts for it. */
    isByPrimary: (server) => byPrimary.has(server),
    answerOf: (socket) => {
      const answer = socket[kAnswer]
      return answer === undefined || answer.writableFinished || answer.destroyed ? undefined : answer
    },
    /** `websocket`, another protocol, or undefined where it is still HTTP. */
    upgradeOf: (socket) => socket[kUpgrade],
    track(server, isByPrimary = false) {
      if (servers.has(server)) return
      servers.add(server)
      if (isByPrimary) byPrimary.add(server)
      const kind = kindOf(server)
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
