// What is expensive is made in a folder beside its place and moved there whole: a half-made one is never found.
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** The folder, made by `make` unless an earlier run has finished it. */
export async function cachedFolder(folder: string, make: (empty: string) => Promise<void>): Promise<string> {
  if (!existsSync(folder)) await replaceFolder(folder, make)
  return folder
}

/** The folder, made anew; what stood there before stays until its successor is complete. */
export async function replaceFolder(folder: string, make: (empty: string) => Promise<void>): Promise<void> {
  await mkdir(dirname(folder), { recursive: true })
  const unfinished = await mkdtemp(join(dirname(folder), '.unfinished-'))
  try {
    await make(unfinished)
    await rm(folder, { recursive: true, force: true })
    await rename(unfinished, folder)
  } finally {
    await rm(unfinished, { recursive: true, force: true })
  }
}

/** Removes the folders that stand beside this one and differ only in their key, the part after the last `-`. */
export async function removeStale(folder: string): Promise<void> {
  const prefix = basename(folder).replace(/[^-]*$/, '')
  for (const name of await readdir(dirname(folder))) {
    if (name.startsWith(prefix) && name !== basename(folder))
      await rm(join(dirname(folder), name), { recursive: true, force: true })
  }
}
