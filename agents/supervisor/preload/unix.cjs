// A unix socket whose path stays when the process that bound it ends or closes it: libuv removes the path that it was given
// for bind, and apps remove it before they listen and when they end. The supervisor removes it when nobody is to listen.
'use strict'

const fs = require('node:fs')
const { syncBuiltinESMExports } = require('node:module')
const net = require('node:net')
const { basename, dirname, resolve } = require('node:path')
const { fileURLToPath } = require('node:url')

/** sun_path with its last zero byte (unix(7)). */
const longestPath = 107

/**
 * Calls `listen` so that it binds the path through a descriptor of its folder, which is closed then: the name that libuv
 * knows leads nowhere. False where that cannot be; it was listened on as without us then.
 */
exports.listenThroughFolder = (server, path, listen) => {
  if (path.startsWith('\0')) {
    listen()
    return true
  }
  let folder
  try {
    folder = fs.openSync(dirname(path), fs.constants.O_DIRECTORY)
  } catch {
    listen()
    return false
  }
  const name = `/proc/self/fd/${folder}/${basename(path)}`
  let isBound = false
  const bind = () => {
    // Where the app's own is too long, net is to say so.
    if ([name, path].some((one) => Buffer.byteLength(one) > longestPath)) return undefined
    // oxlint-disable-next-line no-underscore-dangle -- what net makes of a path itself, with the same errors
    const handle = net._createServerHandle(name, -1, -1)
    // Where it is in use or forbidden, net is to find that out by the app's own path.
    if (typeof handle === 'number') return undefined
    isBound = true
    return handle
  }
  try {
    beforeListen2(server, bind, listen)
  } finally {
    fs.closeSync(folder)
  }
  return isBound
}

/** In `listen`, net goes on with the handle that `make` answers as if it had bound it; Node keeps `_listen2` for who wraps it. */
exports.beforeListen2 = beforeListen2

function beforeListen2(server, make, listen) {
  // oxlint-disable no-underscore-dangle
  server._listen2 = (...args) => {
    Reflect.deleteProperty(server, '_listen2')
    const handle = make()
    if (handle !== undefined) server._handle = handle
    return server._listen2(...args)
  }
  // oxlint-enable no-underscore-dangle
  try {
    return listen()
  } finally {
    Reflect.deleteProperty(server, '_listen2')
  }
}

const kept = new Set()
let isGuarded = false

/** From now on the app does not remove it: what it removes before it listens, or when it ends, is another process's too. */
exports.keepPath = (path) => {
  if (path.startsWith('\0')) return
  kept.add(path)
  guardPaths()
}

exports.guardPaths = guardPaths

function guardPaths() {
  if (isGuarded) return
  isGuarded = true
  const { unlink, rm, unlinkSync, rmSync } = fs
  const { unlink: unlinkLater, rm: rmLater } = fs.promises
  fs.unlinkSync = function (path, ...rest) {
    return isKept(path) ? undefined : unlinkSync.call(this, path, ...rest)
  }
  fs.rmSync = function (path, ...rest) {
    return isKept(path) ? undefined : rmSync.call(this, path, ...rest)
  }
  fs.unlink = function (path, ...rest) {
    return passOver(path, rest) ? undefined : unlink.call(this, path, ...rest)
  }
  fs.rm = function (path, ...rest) {
    return passOver(path, rest) ? undefined : rm.call(this, path, ...rest)
  }
  fs.promises.unlink = async function (path, ...rest) {
    return isKept(path) ? undefined : unlinkLater.call(this, path, ...rest)
  }
  fs.promises.rm = async function (path, ...rest) {
    return isKept(path) ? undefined : rmLater.call(this, path, ...rest)
  }
  syncBuiltinESMExports()
}

exports.letPathGo = (path) => kept.delete(path)

/** As libuv does when the process that bound it closes it. */
exports.removePath = (path) => {
  if (path === '' || path.startsWith('\0') || kept.has(path)) return
  try {
    fs.unlinkSync(path)
  } catch {
    // It was removed already.
  }
}

function passOver(path, rest) {
  const callback = rest.at(-1)
  if (typeof callback !== 'function' || !isKept(path)) return false
  process.nextTick(callback, null)
  return true
}

function isKept(path) {
  try {
    return kept.has(resolve(path instanceof URL ? fileURLToPath(path) : String(path)))
  } catch {
    return false
  }
}
