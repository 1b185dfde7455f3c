// A bundle: each command as a file that the kernel can start without a shell, beside the code it shares with the
// others. The folder is copied into an image as /aether; README.md says what is in it.
import { chmod, copyFile, mkdir, readdir, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { build } from 'esbuild'
import { replaceFolder } from './cache.ts'
import { type Chunks, createChunks } from './chunks.ts'
import { emptyFiles } from './empty-files.ts'
import { lazyBuiltins } from './lazy-builtins.ts'
import { lazyCommonJs } from './lazy-commonjs.ts'
import { type BundledPackage, bundledPackages, collectLicenses, readPackage } from './licenses.ts'
import { packageFolders } from './package-folder.ts'
import { createSiblings, type Siblings } from './siblings.ts'
import { layOutQuick } from './start-file.ts'
import { formatTable } from './table.ts'

/** A folder of files that the code reads, copied as it is. */
export type Asset = {
  /** Relative to the root of the repository. */
  readonly from: string
  /** Relative to the bundle; the code lies in `lib`. */
  readonly to: string
}

/** What a bundle is made of, beyond what its entries import. */
export type Recipe = {
  /** Name to entry file, relative to the root of the repository. */
  readonly commands: Readonly<Record<string, string>>
  /** They belong to every command. */
  readonly assets?: readonly Asset[]
  /** Packages that are not carried along: what asks for one has to do without. */
  readonly external?: readonly string[]
  /** Packages that read files beside themselves (package-folder.ts). */
  readonly withFiles?: readonly string[]
  /** Files of packages that are loaded with them and never used here (empty-files.ts). */
  readonly unused?: readonly string[]
  /** CommonJS, and what a command loads at its start is one file (start-file.ts); nothing may await at its top level. */
  readonly isQuick?: boolean
}

/** One command and the files it needs, relative to the bundle; `startBytes` counts what is loaded before it runs. */
export type BundledCommand = {
  readonly command: string
  readonly files: readonly string[]
  readonly startBytes: number
  readonly allBytes: number
  /** Whose code, or whose files, it carries. */
  readonly packages: readonly BundledPackage[]
}

// Packages written as CommonJS call `require('node:...')`, which an ES module does not have.
export const banner = 'import{createRequire as __cr}from"node:module";const require=__cr(import.meta.url);'

/** Bundles the recipe's commands below `root` into the folder `out`, replacing what an earlier build left. */
export async function bundleCommands(root: string, recipe: Recipe, out: string): Promise<BundledCommand[]> {
  const { commands, isQuick = false } = recipe
  const siblings = createSiblings(root, commands)
  // A file that is only named by `new URL(..., import.meta.url)` is known once its namer was read: until none is new.
  let result = await compile(root, recipe, siblings)
  for (let known = Object.keys(commands).length; known < siblings.count(); ) {
    known = siblings.count()
    result = await compile(root, recipe, siblings)
  }

  const { metafile, outputFiles } = result
  const chunks = createChunks(root, result, siblings)
  const laidOut = new Map<string, ReadonlyMap<string, string>>()
  for (const command of Object.keys(commands)) {
    const entry = `lib/${command}.js`
    laidOut.set(command, await (isQuick ? layOutQuick : layOut)(chunks, entry))
  }
  const assets = await listAssets(root, recipe)
  await replaceFolder(out, async (folder) => {
    await chmod(folder, 0o755)
    for (const part of ['bin', 'lib']) await mkdir(join(folder, part))
    for (const texts of laidOut.values()) for (const [path, text] of texts) await writeFile(join(folder, path), text)
    for (const command of Object.keys(commands)) {
      const path = join(folder, 'bin', command)
      await writeFile(
        path,
        `#!/usr/local/bin/node\n${isQuick ? `require('../lib/${command}.js')` : `import '../lib/${command}.js'`}\n`,
      )
      await chmod(path, 0o755)
    }
    await writeFile(join(folder, 'package.json'), `{"type":"${isQuick ? 'commonjs' : 'module'}"}\n`)
    for (const [path, from] of assets) {
      await mkdir(dirname(join(folder, path)), { recursive: true })
      await copyFile(from, join(folder, path))
    }
    const comments = outputFiles.filter((file) => file.path.endsWith('.LEGAL.txt')).map((file) => file.text)
    await writeFile(join(folder, 'LICENSES'), await collectLicenses(root, metafile, comments))
  })
  const copied = await Promise.all(packagesOfAssets(recipe).map((folder) => readPackage(root, folder)))
  return Promise.all(
    [...laidOut].map(async ([command, texts]) => {
      const entry = `lib/${command}.js`
      const outputs = chunks.reach(entry, true).flatMap((path) => metafile.outputs[path] ?? [])
      return {
        command,
        files: [`bin/${command}`, 'package.json', 'LICENSES', ...texts.keys(), ...assets.keys()],
        startBytes: bytesOf(texts, isQuick ? [entry] : chunks.reach(entry, false)),
        allBytes: bytesOf(texts, [...texts.keys()]),
        packages: [...(await bundledPackages(root, outputs)), ...copied],
      }
    }),
  )
}

/** The folders of the packages that assets are copied from. */
function packagesOfAssets({ assets = [] }: Recipe): string[] {
  return assets.flatMap(({ from }) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(from)?.[0] ?? [])
}

/** Path in the bundle to the file, sorted. */
async function listAssets(root: string, { assets = [] }: Recipe): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const { from, to } of assets) {
    const entries = await readdir(join(root, from), { recursive: true, withFileTypes: true })
    const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
    for (const file of files.toSorted()) found.set(join(to, relative(join(root, from), file)), file)
  }
  return found
}

function compile(
  root: string,
  { external = [], withFiles = [], unused = [], isQuick = false }: Recipe,
  siblings: Siblings,
) {
  return build({
    absWorkingDir: root,
    entryPoints: siblings.entries(),
    outdir: root,
    entryNames: 'lib/[name]',
    chunkNames: 'lib/chunk-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node26',
    // Names stay: a stack trace from a pod must be readable.
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'external',
    ...(isQuick ? {} : { banner: { js: banner } }),
    external: [...external],
    plugins: [
      siblings.plugin,
      ...(isQuick ? [] : [lazyBuiltins]),
      lazyCommonJs,
      packageFolders(withFiles),
      emptyFiles(unused),
    ],
    metafile: true,
    write: false,
    logLevel: 'error',
  })
}

/** As esbuild split it: what several commands load lies there once. */
function layOut(chunks: Chunks, entry: string): ReadonlyMap<string, string> {
  return new Map(chunks.reach(entry, true).map((path) => [path, chunks.texts.get(path) ?? '']))
}

function bytesOf(texts: ReadonlyMap<string, string>, paths: readonly string[]): number {
  return paths.reduce((sum, path) => sum + Buffer.byteLength(texts.get(path) ?? ''), 0)
}

export function formatBundle(commands: readonly BundledCommand[]): string {
  const rows = commands.map(({ command, startBytes, allBytes }) => [command, `${startBytes}`, `${allBytes}`])
  return formatTable(['command', 'bytes at start', 'bytes in all'], rows)
}
