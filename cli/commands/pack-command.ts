// aether pack: the artifact as a file, or the files of a tree.
import { mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { CommandContext, CommandDefinition } from '../basics/command.ts'
import { Failure } from '../basics/failure.ts'
import { loadSettings, type Settings } from '../basics/settings.ts'
import { formatBytes, formatMs } from '../basics/table.ts'
import { type PackedApp, type PackOptions, packApp } from '../release/pack-app.ts'
import { sayStore, storeRecord, treeFile } from '../release/pack-tree.ts'
import { loadProject, type Project } from '../release/project.ts'

export const packFlags: CommandDefinition['options'] = [
  [
    '--allow-scripts',
    'run the install scripts of dependencies; by default none runs, since it would have your rights and secrets',
  ],
  [
    '--compile-cache',
    "start the app once where you pack, and ship V8's compile cache of what it loads: it starts faster in pods with the same Node and processor",
  ],
  ['--no-install', 'take node_modules as it is (for pnpm, yarn, bun or an install of your own)'],
]

export const pack: CommandDefinition = {
  usage: 'pack [folder]',
  summary: 'make the artifact of an app, as a file',
  about:
    'Copies the folder without what .aetherignore and the defaults leave out (node_modules, .git, .env*, *.pem, ...), installs ' +
    'the dependencies for production in the copy, and packs it: the same tree gives the same bytes. With AETHER_SIGNING_KEY ' +
    'the digest is signed. No registry, image or cluster is touched. With --tree the artifact is a tree: files for any static ' +
    'server, from which a pod that runs the release before takes what changed and no more.',
  options: [
    [
      '--out <path>',
      'the artifact (default: .aether/<app>.tar.gz in the folder); with --tree the folder for its files',
    ],
    ['--tree', 'write a tree: <app>.tree, and beside it .full, .index and a .from-<digest> for each --from'],
    [
      '--from <tree...>',
      'a .tree of before, its .index beside it: pods that run it will fetch the difference; repeatable',
    ],
    ...packFlags,
  ],
  examples: [
    'aether pack',
    'aether pack ./services/shop --out shop.tar.gz',
    'aether pack --tree --out ./store/v2 --from ./store/v1/shop.tree',
  ],
  async run(context) {
    const { cwd, flags, output, env } = context
    const project = await loadProject(resolve(cwd, context.args[0] ?? '.'))
    const settings = await loadSettings(flags, env, project.folder, output.warn)
    const given = flags.text('out')
    const from = flags.list('from').map((file) => resolve(cwd, file))
    const isTree = flags.isSet('tree')
    if (from.length > 0 && !isTree)
      throw new Failure('usage', '--from is for a tree', { next: 'write --tree too, or leave --from out' })
    const folder = given === undefined ? await ownFolder(project) : resolve(cwd, given)
    const archive = given === undefined ? join(folder, `${project.appName ?? 'app'}.tar.gz`) : folder
    const what = isTree ? { tree: { file: treeFile(folder, project.appName), from } } : { out: archive }
    return packApp(project, { ...packOptions(context, settings), ...what }, async (packed) => {
      sayPacked(context, packed)
      const { file, store } = packed
      if (store === undefined) output.line(`file       ${file}`)
      else sayStore(output, store)
      return { ...packedRecord(packed), file, ...(store === undefined ? {} : { files: storeRecord(store) }) }
    })
  },
}

export function packOptions({ env, signal, output, flags }: CommandContext, settings: Settings): PackOptions {
  return {
    env,
    signal,
    output,
    signingKey: settings.signingKey,
    // commander makes `--no-install` an `install` that is false.
    install: flags.isSet('install'),
    allowScripts: flags.isSet('allow-scripts'),
    compileCache: flags.isSet('compile-cache'),
  }
}

/** What is said of a release, however it travels. */
export type PackedFacts = Omit<PackedApp, 'file' | 'store'>

export function sayPacked({ output }: CommandContext, packed: PackedFacts): void {
  output.line(`digest     ${packed.digest}`)
  output.line(`size       ${formatBytes(packed.bytes)}, ${packed.entries} entries`)
  output.line(`signature  ${packed.signature === null ? 'none' : `${packed.signature.slice(0, 16)}...`}`)
  output.line(`commit     ${packed.commit ?? 'none'}`)
  const { compileCache, ms } = packed
  if (compileCache !== null) output.line(`cache      ${compileCache.files} files for Node ${compileCache.version}`)
  const took = compileCache === null ? '' : `compile cache ${formatMs(ms.compileCache)}, `
  output.line(`took       install ${formatMs(ms.install)}, ${took}pack ${formatMs(ms.pack)}`)
}

export function packedRecord({ digest, bytes, entries, signature, commit, compileCache, ms }: PackedFacts) {
  return { digest, bytes, entries, signature, commit, compileCache, ms }
}

/** In a folder that git passes over. */
async function ownFolder({ folder }: Project): Promise<string> {
  const own = join(folder, '.aether')
  await mkdir(own, { recursive: true })
  await writeFile(join(own, '.gitignore'), '*\n')
  return own
}
