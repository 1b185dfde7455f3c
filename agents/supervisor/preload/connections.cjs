// What a drain has to know of each connection, kept as cheaply as can be: a set of sockets, and the answer under way on each.
'use strict'

const { subscribe } = require('node:diagnostics_channel')
const { kindOf } = require('./kind.cjs')

const kAnswer = Symbol('aether.answer')
const kUpgrade = Symbol('aether.upgrade')

exports.createTracker = () => {
  const servers = new Set()
  const raw = new Set()
  const talking = new Set()
  const sessions = new Set()
  let onAnswer = () => {}

  subscribe('http.server.request.start', ({ response, socket }) => {
    socket[kAnswer] = response
    onAnswer(response)
  })

  return {
    servers,
    /** Every TCP connection. */
    raw,
    /** The streams that HTTP/1 may be spoken on: the same, or what TLS makes of them. */
    talking,
    /** HTTP/2. */
    sessions,
    /** Called with each answer that is begun from now on. */
    eachAnswer(handler) {
      onAnswer = handler
    },
    answerOf: (socket) => {
      const answer = socket[kAnswer]
      return answer === undefined || answer.writableFinished || answer.destroyed ? undefined : answer
    },
    /** `websocket`, another protocol, or undefined where it is still HTTP. */
    upgradeOf: (socket) => socket[kUpgrade],
    track(server) {
      if (servers.has(server)) return
      servers.add(server)
      server.on('connection', (socket) => keep(raw, socket))
      const kind = kindOf(server)
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

/** Listens for upgrades only where the app does: a server without such a listener treats them as plain requests. */
function watchUpgrades(server) {
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
