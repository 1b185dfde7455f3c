// Tells the first answer that is given after the supervisor let the process accept, and then listens no more.
'use strict'

const { subscribe, unsubscribe } = require('node:diagnostics_channel')

/** Of HTTP/1, and of HTTP/2 where Node has it. */
const channels = ['http.server.response.finish', 'http2.server.stream.finish']

exports.createFirstAnswer = (control) => {
  let isTold = false
  const answered = () => {
    for (const name of channels) unsubscribe(name, answered)
    control.say({ say: 'answered' })
  }
  return {
    /** From now on. */
    tell() {
      if (isTold) return
      isTold = true
      for (const name of channels) subscribe(name, answered)
    },
  }
}
