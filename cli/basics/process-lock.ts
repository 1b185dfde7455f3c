// One process of this machine at a time, by a folder for the lock alone. Whoever wants it
//  1 puts a file of its own there, named after its process
//  2 looks at every other: one whose process is alive has the lock, or wants it too; one whose process was killed is removed, which
//    takes nobody else's, because no name comes twice
//  3 withdraws where one was alive.
// Everyone is there before it looks, so no two can have it; two at once may both withdraw, and try again a moment later.
// runtime/folder-lock.ts does it by sockets, for agents in containers, where numbers of processes mean nothing; it needs Linux.
import { randomInt, randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { errnoOf } from './failure.ts'

export interface Holder {
  readonly pid: number
  /** What it said of itself. */
  readonly about: string
}

/** Answers how it is given back, or who has it. Rejects with the system's error where the folder cannot be made or written. */
export async function takeProcessLock(folder: string, about: string): Promise<(() => Promise<void>) | Holder> {
  const tries = 3
  for (let rest = tries; ; rest--) {
    const own = `${process.pid}-${randomUUID()}`
    await announce(folder, own, about) // 1
    const release = async () => {
      await rm(join(folder, own), { force: true })
      await rmdir(folder).catch(() => {}) // somebody else's file is there, or it is gone already
    }
    const holder = await findOther(folder, own).catch(async (error: unknown) => {
      await release()
      throw error
    })
    if (holder === undefined) return release
    await release() // 3
    if (rest <= 1) return holder
    await sleep(randomInt(20, 100))
  }
}

/** Again where the one before takes the folder away in between; `mkdir` itself may fail of that. */
async function announce(folder: string, own: string, about: string): Promise<void> {
  for (let rest = 20; ; rest--)
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      await writeFile(join(folder, own), about, { flag: 'wx', mode: 0o600 })
      return
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' || rest === 0) throw error
    }
}

// 2
async function findOther(folder: string, own: string): Promise<Holder | undefined> {
  for (const name of await readdir(folder)) {
    if (name === own) continue
    const pid = Number(name.split('-', 1)[0])
    // Our own number is that of one before us, as in a container that is started again.
    if (pid !== process.pid && isAlive(pid))
      return { pid, about: await readFile(join(folder, name), 'utf8').catch(() => '') }
    await rm(join(folder, name), { force: true })
  }
  return undefined
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return errnoOf(error) === 'EPERM'
  }
}
