// What a server speaks: the supervisor has to know it to ask whether it is ready.
'use strict'

const http = require('node:http')
const https = require('node:https')
const tls = require('node:tls')

exports.kindOf = (server) => {
  const isTls = server instanceof tls.Server
  // Http2Server and Http2SecureServer are not exported; this method is theirs alone.
  if (typeof server.updateSettings === 'function') return isTls ? 'h2' : 'h2c'
  if (isTls) return server instanceof https.Server ? 'https' : 'tls'
  return server instanceof http.Server ? 'http' : 'tcp'
}
