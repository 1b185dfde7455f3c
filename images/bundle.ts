// dist/agents: each agent command as a file that the kernel can start without a shell, beside the code it shares
// with the others. The folder is copied into the images as /aether; README.md says what is in it.
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type Metafile } from 'esbuild'
import { replaceFolder } from './cache.ts'
import { lazyCommonJs } from './lazy-commonjs.ts'
import { collectLicenses } from './licenses.ts'
import { createSiblings, type Siblings } from './siblings.ts'
import { formatTable } from './table.ts'

/** The commands of the agent images and where each begins, relative to the root of the repository. */
export const agentCommands: Readonly<Record<string, string>> = {
  'init-fetch': 'agents/init-fetch/main.ts',
  fetcher: 'agents/fetcher/main.ts',
  supervisor: 'agents/supervisor/main.ts',
  'ed25519-verify': 'agents/verifier/main.ts',
}

/** One command and the files it needs, relative to the bundle; `startBytes` counts what is loaded before it runs. */
export type BundledCommand = {
  readonly command: string
  readonly files: readonly string[]
  readonly startBytes: number
  readonly allBytes: number
}

// Packages written as CommonJS call `require('node:...')`, which an ES module does not have.
const banner = 'import{createRequire as __cr}from"node:module";const require=__cr(import.meta.url);'

/** Bundles `commands` (name to entry file) below `root` into the folder `out`, replacing what an earlier build left. */
export async function bundleCommands(
  root: string,
  commands: Readonly<Record<string, string>>,
  out: string,
): Promise<BundledCommand[]> {
  const siblings = createSiblings(root, commands)
  // A file that is only named by `new URL(..., import.meta.url)` is known once its namer was read: until none is new.
  let result = await compile(root, siblings)
  for (let known = Object.keys(commands).length; known < siblings.count(); ) {
    known = siblings.count()
    result = await compile(root, siblings)
  }

  const { metafile, outputFiles } = result
  await replaceFolder(out, async (folder) => {
    await chmod(folder, 0o755)
    for (const part of ['bin', 'lib']) await mkdir(join(folder, part))
    for (const file of outputFiles) {
      if (file.path.endsWith('.js')) await writeFile(join(folder, relative(root, file.path)), file.contents)
    }
    for (const command of Object.keys(commands)) {
      const path = join(folder, 'bin', command)
      await writeFile(path, `#!/usr/local/bin/node\nimport '../lib/${command}.js'\n`)
      await chmod(path, 0o755)
    }
    await writeFile(join(folder, 'package.json'), '{"type":"module"}\n')
    const comments = outputFiles.filter((file) => file.path.endsWith('.LEGAL.txt')).map((file) => file.text)
    await writeFile(join(folder, 'LICENSES'), await collectLicenses(root, metafile, comments))
  })
  return Object.keys(commands).map((command) => {
    const start = closure(metafile, siblings, [`lib/${command}.js`], false)
    const all = closure(metafile, siblings, [`lib/${command}.js`], true)
    return {
      command,
      files: [`bin/${command}`, 'package.json', 'LICENSES', ...all],
      startBytes: bytesOf(metafile, start),
      allBytes: bytesOf(metafile, all),
    }
  })
}

function compile(root: string, siblings: Siblings) {
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
    banner: { js: banner },
    plugins: [siblings.plugin, lazyCommonJs],
    metafile: true,
    write: false,
    logLevel: 'error',
  })
}

/** The files that importing `from` loads; with `isWhole` also what it may load later. */
function closure(metafile: Metafile, siblings: Siblings, from: readonly string[], isWhole: boolean): string[] {
  const found = new Set<string>()
  const queue = [...from]
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    if (found.has(path)) continue
    found.add(path)
    const output = metafile.outputs[path]
    for (const next of output?.imports ?? []) {
      if (!next.external && (isWhole || next.kind === 'import-statement')) queue.push(next.path)
    }
    if (isWhole) queue.push(...siblings.namedBy(Object.keys(output?.inputs ?? {})))
  }
  return [...found].toSorted()
}

function bytesOf(metafile: Metafile, paths: readonly string[]): number {
  return paths.reduce((sum, path) => sum + (metafile.outputs[path]?.bytes ?? 0), 0)
}

export function formatBundle(commands: readonly BundledCommand[]): string {
  const rows = commands.map(({ command, startBytes, allBytes }) => [command, `${startBytes}`, `${allBytes}`])
  return formatTable(['command', 'bytes at start', 'bytes in all'], rows)
}

if (import.meta.main) {
  const root = dirname(dirname(fileURLToPath(import.meta.url)))
  const out = join(root, 'dist', 'agents')
  console.log(formatBundle(await bundleCommands(root, agentCommands, out)))
  console.log(`in ${join(basename(dirname(out)), basename(out))}`)
}
