// The release's own compile cache for this process alone: what it starts, its worker threads too, has none.
'use strict'

const nodeModule = require('node:module')

exports.useCompileCache = (directory, control) => {
  control.say({ say: 'compile cache', how: enable(directory) })
}

/** With `portable`, because it was made at another path. Node below 24.12 knows it not, and finds nothing. */
function enable(directory) {
  delete process.env.NODE_DISABLE_COMPILE_CACHE
  try {
    const { status, message } = nodeModule.enableCompileCache({ directory, portable: true })
    return status === nodeModule.constants.compileCacheStatus.ENABLED ? 'used' : `not used: ${message}`
  } catch (error) {
    return `not used: ${error.message}`
  } finally {
    process.env.NODE_DISABLE_COMPILE_CACHE = '1'
  }
}
