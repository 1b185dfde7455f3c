// The file a spare process is started with: everything is in the preload.
'use strict'

module.exports = {}
