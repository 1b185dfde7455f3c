// Loaded into the app's process before its code (NODE_OPTIONS --require). Plain CommonJS that runs from Node 20 on.
// It makes `listen(port)` take the socket that the supervisor holds, holds accepting back until the supervisor says `go`,
// and drains when told. What a descendant inherits is put back first, so that only this process is changed.
'use strict'

const { isMainThread } = require('node:worker_threads')

const text = process.env.AETHER_PRELOAD
if (isMainThread && text !== undefined) {
  const settings = JSON.parse(text)
  delete process.env.AETHER_PRELOAD
  if (settings.nodeOptions === null) delete process.env.NODE_OPTIONS
  else process.env.NODE_OPTIONS = settings.nodeOptions
  const { createControl } = require('./control.cjs')
  const { createTracker } = require('./connections.cjs')
  const { createDrain } = require('./drain.cjs')
  const { installListen } = require('./listen.cjs')
  const { createFirstAnswer } = require('./first-answer.cjs')
  const control = createControl(settings.controlFd)
  const tracker = createTracker()
  const drain = createDrain(tracker, control)
  const { go, hand, forget } = installListen(settings, tracker, control)
  const firstAnswer = createFirstAnswer(control)
  control.on('go', () => {
    firstAnswer.tell()
    go()
  })
  control.on('hand', () => {
    firstAnswer.tell()
    hand()
  })
  control.on('forget', forget)
  control.on('lame', drain.lame)
  control.on('drain', drain.begin)
  if (settings.isSpare) require('./spare.cjs').installSpare(control)
  control.say({ say: 'hello', node: process.version })
  if (settings.compileCache) require('./compile-cache.cjs').useCompileCache(settings.compileCache, control)
}
