// What a call of net.Server.prototype.listen asks for, as net reads it, and whether a held socket is that.
'use strict'

const { resolve } = require('node:path')
const { handleOf } = require('./handle.cjs')

/** Undefined for what is left alone: port 0, a descriptor, a handle. */
exports.readArguments = (args) => {
  const first = args[0]
  const options = typeof first === 'object' && first !== null ? first : undefined
  if (options !== undefined && (handleOf(options) || options.handle || typeof options.fd === 'number')) return undefined
  const port = toPort(options === undefined ? first : options.port)
  const path = port === undefined ? toPath(options === undefined ? first : options.path) : ''
  if (path === undefined) return undefined
  const host = port === undefined ? '' : options === undefined ? args[1] : options.host
  return {
    port: port ?? 0,
    path,
    host: typeof host === 'string' ? host : '',
    ipv6Only: port !== undefined && options?.ipv6Only === true,
    backlog: options?.backlog ?? args.slice(1, 3).find((arg) => typeof arg === 'number'),
    signal: options?.signal,
    isExclusive: options?.exclusive === true,
    isReused: options?.reusePort === true,
  }
}

/** What tells one listening socket from another, alone. */
exports.keyOf = ({ port, path, host, ipv6Only }) => ({ port, path, host, ipv6Only })

exports.isSameSocket = (a, b) =>
  a.port === b.port && a.path === b.path && a.host === b.host && a.ipv6Only === b.ipv6Only

exports.isFor = (held, asked) => {
  if (held.port !== asked.port || held.path !== asked.path || held.ipv6Only !== asked.ipv6Only) return false
  // A socket of all addresses takes the connections of 0.0.0.0 too; one of some address is another socket.
  return held.host === asked.host || (isAny(held.host) && (isAny(asked.host) || asked.host === '0.0.0.0'))
}

function toPort(value) {
  const isOne = typeof value === 'number' || (typeof value === 'string' && value.trim() !== '')
  const port = isOne ? Number(value) : 0
  return Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined
}

/** A name that begins with a zero byte is in no folder (unix(7)). */
function toPath(value) {
  if (typeof value !== 'string' || value === '' || !Number.isNaN(Number(value))) return undefined
  return value.startsWith('\0') ? value : resolve(value)
}

function isAny(host) {
  return host === '' || host === '::'
}
