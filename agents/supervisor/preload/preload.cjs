// Loaded into the app's process before its code (NODE_OPTIONS --require), and into those that it forks. Plain CommonJS that
// runs from Node 20 on. It makes `listen()` take the socket that the supervisor holds, holds accepting back until the
// supervisor says `go`, and drains when told. What a descendant inherits is put back first, so that only this process and
// its forks are changed.
'use strict'

const { isMainThread } = require('node:worker_threads')

const text = process.env.AETHER_PRELOAD
if (isMainThread && text !== undefined) {
  const settings = JSON.parse(text)
  delete process.env.AETHER_PRELOAD
  if (settings.nodeOptions === null) delete process.env.NODE_OPTIONS
  else process.env.NODE_OPTIONS = settings.nodeOptions
  if (settings.isSpare)
    void require('./warm-up.cjs')
      .warmUp(settings)
      .then(() => install(settings))
  else install(settings)
}

function install(settings) {
  const net = require('node:net')
  const { createControl } = require('./control.cjs')
  const { createTracker } = require('./connections.cjs')
  const { createDrain } = require('./drain.cjs')
  const { installFamily } = require('./family.cjs')
  const { createHandUp, onSocket } = require('./handover.cjs')
  const { createHeld } = require('./held.cjs')
  const { installListen } = require('./listen.cjs')
  const { createFirstAnswer } = require('./first-answer.cjs')
  const { loadedModules } = require('./warm-up.cjs')
  const isMember = settings.family !== undefined
  const control = createControl(new net.Socket({ fd: settings.controlFd, readable: true, writable: true }))
  const tracker = createTracker(isMember, () => isMember && control.say({ say: 'serves' }))
  const held = createHeld(settings.held, settings.family)
  const handUp = createHandUp(isMember, control)
  const listening = installListen(settings, held, handUp, tracker, control)
  const family = installFamily(settings, held, handUp, listening, control)
  const drain = createDrain(isMember, tracker, held, family, control)
  const firstAnswer = createFirstAnswer(control)
  for (const [name, here] of Object.entries({
    go: listening.go,
    hand,
    lame: drain.lame,
    drain: drain.begin,
  }))
    control.on(name, (order) => {
      if (name === 'go' || name === 'hand') firstAnswer.tell()
      here(order)
      family.order(order)
    })
  /** It is ready: its code has been loaded, and with it what the next spare is to have. */
  function hand() {
    listening.hand()
    control.say({ say: 'loaded', modules: loadedModules() })
  }
  control.on('forget', ({ keys }) => family.order({ do: 'forget', keys: held.forget(keys) }))
  onSocket(process, held.add)
  // It listens on a unix socket or on nothing: what the app removes it by is to be ours before the app takes it out of fs.
  if (settings.port === 0) require('./unix.cjs').guardPaths()
  if (settings.isSpare) require('./spare.cjs').installSpare(control)
  control.say({ say: 'hello', node: process.version })
  if (settings.compileCache) require('./compile-cache.cjs').useCompileCache(settings.compileCache, control)
}
