// The two apps of the bench, as a developer has them: a folder, whose server.js is saved again and again.
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { copyAppWithPackages } from '@aether/e2e/kit/app-packages'
import { root } from '../processes.ts'

export interface DevApp {
  readonly name: string
  readonly folder: string
  readonly files: number
  /** A save: from then on it answers with this text. */
  save(text: string): Promise<void>
  /** Its own copy, for another contestant. */
  copy(folder: string): Promise<DevApp>
}

const fullSize = 8_000
const packageFiles = 100

export async function createHello(folder: string): Promise<DevApp> {
  const app = join(folder, 'hello')
  await cp(join(root, 'examples/hello'), app, { recursive: true })
  return describe('hello', app)
}

/** Fastify with what it needs, and packages that nobody loads until there are about 8,000 files. */
export async function createLargeFastify(folder: string): Promise<DevApp> {
  const app = join(folder, 'fastify')
  await mkdir(app, { recursive: true })
  await copyAppWithPackages(join(root, 'examples/fastify'), app)
  let left = fullSize - (await countFiles(app))
  for (let count = 0; left > 0; count += 1, left -= packageFiles) {
    const place = join(app, 'node_modules', `filler-${count}`)
    await mkdir(join(place, 'lib'), { recursive: true })
    await writeFile(join(place, 'package.json'), `{"name":"filler-${count}","version":"1.0.0"}\n`)
    for (let file = 1; file < Math.min(packageFiles, left); file += 1)
      await writeFile(join(place, `lib/part-${file}.js`), `export const part = ${file}\n`.repeat(300))
  }
  return describe('fastify 8k', app)
}

async function describe(name: string, folder: string): Promise<DevApp> {
  const server = join(folder, 'server.js')
  const source = await readFile(server, 'utf8')
  // Both answer `<something> from ${version}`.
  const save = (text: string) => writeFile(server, source.replace('from ${version}', `from ${text}`))
  return {
    name,
    folder,
    files: await countFiles(folder),
    save,
    async copy(to) {
      await cp(folder, to, { recursive: true, verbatimSymlinks: true })
      return describe(name, to)
    },
  }
}

async function countFiles(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).length
}
