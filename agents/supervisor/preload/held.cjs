// The listening sockets that this process may listen on: inherited at birth, or come through a channel of Node. The supervisor
// holds each of them too, so that none is gone when it is closed here.
'use strict'

const { closeSync, existsSync } = require('node:fs')
const net = require('node:net')
const { isFor, isSameSocket, keyOf } = require('./asked.cjs')
const { handleOf } = require('./handle.cjs')
const { keepPath, letPathGo } = require('./unix.cjs')

exports.createHeld = (given, family) => {
  const entries = []
  /** What this process listens on: nobody else of the app may then, as without us. */
  const open = new Map()
  for (const one of given) insert({ ...one, isTaken: false, isKept: false })

  function insert(entry) {
    if (entry.path !== '') keepPath(entry.path)
    entries.push(entry)
  }
  function remove(entry) {
    entries.splice(entries.indexOf(entry), 1)
    if (entry.isTaken) return
    if (entry.handle === undefined) closeSync(entry.fd)
    else entry.handle.close()
  }

  return {
    isHeld: (asked) => entries.some((one) => isFor(one, asked)),
    /** Of another address: what is asked for may be refused by the kernel because of it. */
    isInTheWay: (asked) =>
      asked.port !== 0 &&
      entries.some((one) => !one.isTaken && !one.isKept && one.port === asked.port && !isFor(one, asked)),
    /** To be listened on; undefined where there is none, its path is gone, or it is listened on: net then says EADDRINUSE. */
    find(asked) {
      if ([...open.values()].some((key) => isFor(key, asked))) return undefined
      if (asked.path !== '' && !asked.path.startsWith('\0') && !existsSync(asked.path)) return undefined
      return entries.find((one) => !one.isTaken && isFor(one, asked) && claim(one, asked))
    },
    claim,
    opened(key, handle) {
      open.set(handle, key)
    },
    closed(handle) {
      open.delete(handle)
    },
    /** It was taken, and its handle is closed. */
    spent(entry) {
      const at = entries.indexOf(entry)
      if (at !== -1) entries.splice(at, 1)
    },
    handleOf: handleOfEntry,
    /** One that came through a channel: kept, for another listen() of this process or one that it forks; false where there is one. */
    add(key, handle) {
      const same = entries.find((one) => !one.isTaken && isSameSocket(one, key))
      if (same !== undefined && key.path === '') {
        handle.close()
        return false
      }
      // A path that was bound anew had been removed: nobody comes to the socket before any more.
      if (same !== undefined) remove(same)
      insert({ ...key, handle, isTaken: false, isKept: true })
      return true
    },
    /** A process that was forked listens on it: the next one that is forked for it needs it too. */
    keep(key) {
      for (const one of entries) if (isSameSocket(one, key)) one.isKept = true
    },
    taken: () => entries.filter((one) => one.isTaken),
    forChildren: () =>
      entries
        .filter((one) => !one.isTaken && ![...open.values()].some((key) => isFor(key, one)))
        .map((one) => ({ ...keyOf(one), fd: one.handle === undefined ? one.fd : one.handle.fd })),
    findUntaken: (key) => entries.find((one) => !one.isTaken && isSameSocket(one, key)),
    /**
     * What nobody took is let go: as long as a descriptor is open here, the port would look as if somebody answered. Answers
     * what it was; with `keys`, which the parent found, only those: a process that was just forked has not listened yet.
     */
    forget(keys) {
      const isUnused = (one) => !one.isTaken && !one.isKept
      const unused = entries.filter((one) =>
        keys === undefined ? isUnused(one) : !one.isTaken && keys.some((key) => isSameSocket(key, one)),
      )
      for (const one of unused) {
        remove(one)
        if (one.path !== '') letPathGo(one.path)
      }
      return unused.map(keyOf)
    },
    /** The same of all that is not listened on just now. */
    close() {
      for (const one of entries.filter((entry) => !entry.isTaken)) remove(one)
    },
  }

  function handleOfEntry(entry) {
    // A socket object opens the descriptor. Said not to be readable, it is never read either.
    entry.handle ??= handleOf(new net.Socket({ fd: entry.fd, readable: false, writable: false }))
    return entry.handle
  }

  /**
   * True, and it is this server's until its handle is closed. Of several forked processes only one may have it: the first to
   * bind a name in the kernel's table of abstract sockets (unix(7)), which its end undoes.
   */
  function claim(key, asked) {
    if (family === undefined) return true
    const { port, path, host, ipv6Only } = key
    const name = `\0aether/${family}/${JSON.stringify([port, path, host, ipv6Only])}`
    // oxlint-disable-next-line no-underscore-dangle -- there is no other one that answers at once
    const mark = net._createServerHandle(name.length < 100 ? name : shorten(name), -1, -1)
    if (typeof mark === 'number') return false
    mark.unref?.()
    asked.unclaim = () => mark.close()
    return true
  }
}

function shorten(name) {
  const { createHash } = require('node:crypto')
  return `\0aether/${createHash('sha256').update(name).digest('hex')}`
}
