// Listening sockets between processes. To the supervisor they go by process.send; between the app's own processes, and back
// from the supervisor, in messages that Node keeps from the app because their `cmd` begins with NODE_.
'use strict'

const { keyOf } = require('./asked.cjs')

const cmd = 'NODE_AETHER_SOCKET'

exports.createHandUp = (isMember, control) => {
  const send = typeof process.send === 'function' ? process.send.bind(process) : undefined
  return (key, handle) => {
    const message = isMember ? { cmd, ...key } : { aether: 'socket', ...key }
    const failed = (error) => {
      if (error) control.say({ say: 'unheld', why: `its socket cannot be handed over: ${error.message}` })
    }
    if (send === undefined || !process.connected) failed(new Error('the channel of process.send is closed'))
    else send(message, handle, undefined, failed)
  }
}

/** `by` is a child, or this process for what comes from its parent. */
exports.onSocket = (by, take) => {
  by.on('internalMessage', (message, handle) => {
    if (message?.cmd === cmd && handle !== undefined) take(keyOf(message), handle)
  })
}

exports.sendSocket = (child, key, handle) => {
  // Where it fails the child has ended, or does without.
  if (child.connected) child.send({ cmd, ...key }, handle, undefined, () => {})
}
