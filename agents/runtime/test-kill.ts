// For tests: loaded with --import into a process that is to die. Wraps what changes a file system, from outside, logs each
// such call below a folder as a line before it happens, and kills the process by SIGKILL at the one that KILL_PLAN names.
import fs from 'node:fs'
import { open } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'

export interface KillPlan {
  /** Only calls on paths below this folder count. */
  readonly below: string
  /** One line a call: its name and paths relative to the folder; a UUID is shown as `*`. */
  readonly log: string
  /** Calls whose line has this text count; '' is all. */
  readonly like: string
  /** The first is 1; 0 kills at none. */
  readonly at: number
  /** `during` does half of a write. */
  readonly mode: KillMode
}

export type KillMode = 'before' | 'during' | 'after'

/** The environment that makes a process of Node follow the plan. */
export function killEnv(plan: KillPlan): Readonly<Record<string, string>> {
  return { NODE_OPTIONS: `--import=${import.meta.url}`, KILL_PLAN: JSON.stringify(plan) }
}

// As they were: an import by name would follow the wrapping.
const { appendFileSync, constants, writeSync } = fs

type Call = (...args: readonly unknown[]) => unknown

const onOnePath = ['mkdir', 'mkdtemp', 'open', 'rm', 'rmdir', 'unlink', 'truncate', 'writeFile', 'appendFile', 'chmod']
const onTwoPaths = ['rename', 'symlink', 'link', 'copyFile', 'cp']
const onHandles = ['write', 'writev', 'writeFile', 'appendFile', 'sync', 'datasync', 'truncate', 'chmod']

if (process.env.KILL_PLAN !== undefined) await follow(JSON.parse(process.env.KILL_PLAN))

async function follow(plan: KillPlan): Promise<void> {
  const pathOfHandle = new WeakMap<object, string>()
  const pathOfFd = new Map<number, string>()
  let count = 0

  /** Makes one call; `half` does a part of it, for the mode `during`. */
  function step(line: string, call: () => unknown, half: () => unknown): unknown {
    appendFileSync(plan.log, `${line}\n`)
    const isLast = line.includes(plan.like) && ++count === plan.at
    if (!isLast) return call()
    if (plan.mode === 'before') die()
    const done = plan.mode === 'during' ? half() : call()
    return done instanceof Promise ? done.finally(die) : die()
  }

  function wrapNamed(holder: object, name: string, paths: number): void {
    const plain = name.replace(/Sync$/, '')
    wrap(holder, name, (call, args) => {
      const told = args.slice(0, paths).map(String)
      if (!told.some((path) => isBelow(path)) || (plain === 'open' && !isForWriting(args[1]))) return call(...args)
      const same = () => call(...args)
      return step(`${plain} ${told.map(shown).join(' -> ')}`, same, same)
    })
  }

  function isBelow(path: string): boolean {
    return path.startsWith(plan.below) || path.startsWith('/proc/self/fd/')
  }
  function shown(path: string): string {
    return path
      .replace(`${plan.below}/`, '')
      .replace(plan.below, '.')
      .replace(/^\/proc\/self\/fd\/\d+/, 'lock')
      .replace(/(?<![0-9a-f])[0-9a-f]{26}(?![0-9a-f])/, '*') // runtime/unique-name.ts
  }

  // Which file a descriptor or handle is of: opened for writing, or to be synced.
  wrap(fs, 'openSync', (call, args) => {
    const fd = call(...args)
    if (typeof fd === 'number' && isBelow(String(args[0]))) pathOfFd.set(fd, String(args[0]))
    return fd
  })
  wrap(fs.promises, 'open', async (call, args) => {
    const handle = await call(...args)
    if (typeof handle === 'object' && handle !== null && isBelow(String(args[0])))
      pathOfHandle.set(handle, String(args[0]))
    return handle
  })
  for (const name of onOnePath) {
    wrapNamed(fs.promises, name, 1)
    wrapNamed(fs, `${name}Sync`, 1)
  }
  for (const name of onTwoPaths) {
    wrapNamed(fs.promises, name, 2)
    wrapNamed(fs, `${name}Sync`, 2)
  }
  for (const name of ['writeSync', 'writevSync', 'fsyncSync', 'fdatasyncSync', 'ftruncateSync'])
    wrap(fs, name, (call, args) => {
      const [fd, data] = args
      const path = typeof fd === 'number' ? pathOfFd.get(fd) : undefined
      if (path === undefined) return call(...args)
      const half = () =>
        typeof fd === 'number' && data instanceof Uint8Array
          ? writeSync(fd, data.subarray(0, data.length / 2))
          : call(...args)
      return step(`${name.replace(/Sync$/, '')} ${shown(path)}`, () => call(...args), half)
    })
  wrap(fs, 'fsync', (call, args) => {
    const [fd, done] = args
    const path = typeof fd === 'number' ? pathOfFd.get(fd) : undefined
    if (path === undefined || typeof done !== 'function') return call(...args)
    const ended = () =>
      new Promise<void>((resolve) => {
        call(fd, (...result: readonly unknown[]) => {
          resolve()
          // What the caller does next comes after the death.
          setImmediate(() => Reflect.apply(done, undefined, result))
        })
      })
    return step(`sync ${shown(path)}`, ended, ended)
  })
  const handle = await open('/dev/null')
  const prototype: unknown = Object.getPrototypeOf(handle)
  await handle.close()
  if (typeof prototype !== 'object' || prototype === null) throw new Error('a FileHandle has no prototype')
  for (const name of onHandles)
    wrap(prototype, name, (call, args, self) => {
      const path = typeof self === 'object' && self !== null ? pathOfHandle.get(self) : undefined
      if (path === undefined) return call(...args)
      const [data, ...rest] = args
      const half = () => (typeof data === 'string' ? call(data.slice(0, data.length / 2), ...rest) : call(...args))
      return step(`${name === 'writeFile' ? 'write' : name} ${shown(path)}`, () => call(...args), half)
    })
  syncBuiltinESMExports()
}

function wrap(holder: object, name: string, around: (call: Call, args: readonly unknown[], self: unknown) => unknown) {
  const original: unknown = Reflect.get(holder, name)
  if (typeof original !== 'function') throw new Error(`there is no ${name} to wrap`)
  Reflect.set(holder, name, function wrapped(this: unknown, ...args: readonly unknown[]): unknown {
    return around((...given) => Reflect.apply(original, this, given), args, this)
  })
}

function isForWriting(flags: unknown): boolean {
  if (typeof flags === 'string') return /[wa+]/.test(flags)
  return typeof flags === 'number' && (flags & (constants.O_WRONLY | constants.O_RDWR | constants.O_CREAT)) !== 0
}

function die(): never {
  process.kill(process.pid, 'SIGKILL')
  // The signal is on its way; nothing more may happen.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  throw new Error('it survived')
}
