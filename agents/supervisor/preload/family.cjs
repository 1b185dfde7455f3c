// The processes that the app forks, by node:cluster or child_process.fork: each gets the preload too, with what is held and a
// pipe to this one, so that orders reach all of them and facts come up. Other children are left alone.
'use strict'

const { ChildProcess } = require('node:child_process')
const { join } = require('node:path')
const { createControl } = require('./control.cjs')
const { onSocket, sendSocket } = require('./handover.cjs')

const preload = join(__dirname, 'preload.cjs')
const mostMembers = 200

exports.installFamily = (settings, held, handUp, listening, control) => {
  const members = new Set()
  const family = settings.family ?? `${process.pid}/${Date.now()}`
  /** What a process that is forked later has to be told. */
  const told = []
  const spawn = ChildProcess.prototype.spawn
  let onChange = () => {}

  ChildProcess.prototype.spawn = function (...args) {
    const [options] = args
    if (!isFork(options) || members.size >= mostMembers) return spawn.apply(this, args)
    const controlAt = options.stdio.length
    const sockets = held.forChildren()
    const envPairs = environment(options.envPairs, {
      controlFd: controlAt,
      port: settings.port,
      isHolding: listening.isHolding(),
      asksPath: settings.asksPath,
      isSpare: false,
      family,
      held: sockets.map((one, at) => ({ ...one, fd: controlAt + 1 + at })),
    })
    const stdio = [...options.stdio, 'pipe', ...sockets.map(({ fd }) => fd)]
    const result = spawn.call(this, { ...options, envPairs, stdio })
    const pipe = this.stdio?.[controlAt]
    if (pipe) adopt(this, pipe)
    // The app sees what it asked for.
    if (this.stdio) this.stdio.length = controlAt
    return result
  }

  function adopt(child, pipe) {
    const link = createControl(pipe)
    const member = { link, isServing: false, isDrained: false }
    members.add(member)
    pipe.once('close', () => {
      members.delete(member)
      onChange()
    })
    const pass = (said) => control.say(said)
    const serves = () => {
      member.isServing = true
    }
    link.on('listening', (said) => {
      serves()
      if (said.isOfCluster) listening.workerListens(said)
      else {
        held.keep(said)
        pass(said)
      }
    })
    link.on('serves', () => {
      serves()
      pass({ say: 'serves' })
    })
    link.on('unheld', pass)
    link.on('answered', pass)
    link.on('draining', pass)
    link.on('drained', () => {
      member.isDrained = true
      onChange()
    })
    link.on('again', (key) => {
      const entry = held.findUntaken(key)
      if (entry !== undefined) sendSocket(child, key, held.handleOf(entry))
    })
    onSocket(child, (key, handle) => {
      if (held.add(key, handle)) handUp(key, handle)
    })
    for (const order of told) link.say(order)
  }

  return {
    order(order) {
      if (order.do !== 'go' && order.do !== 'forget') told.push(order)
      for (const { link } of members) link.say(order)
    },
    hasDrained: () => [...members].every(({ isServing, isDrained }) => !isServing || isDrained),
    onChange(handler) {
      onChange = handler
    },
  }
}

/** A Node like this one with a channel for messages: who only runs a program is not concerned. */
function isFork(options) {
  return (
    Array.isArray(options?.stdio) &&
    options.stdio.includes('ipc') &&
    Array.isArray(options.envPairs) &&
    options.file === process.execPath
  )
}

function environment(pairs, settings) {
  const valueOf = (name) => pairs.findLast((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1)
  const nodeOptions = valueOf('NODE_OPTIONS') ?? null
  return [
    ...pairs.filter((pair) => !pair.startsWith('NODE_OPTIONS=') && !pair.startsWith('AETHER_PRELOAD=')),
    `NODE_OPTIONS=${`--require ${JSON.stringify(preload)} ${nodeOptions ?? ''}`.trimEnd()}`,
    `AETHER_PRELOAD=${JSON.stringify({ ...settings, nodeOptions })}`,
  ]
}
