// aether pack: the artifact as a file.
import { mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { CommandContext, CommandDefinition } from './command.ts'
import { type PackedApp, type PackOptions, packApp } from './pack-app.ts'
import { loadProject, type Project } from './project.ts'
import { loadSettings, type Settings } from './settings.ts'
import { formatBytes, formatMs } from './table.ts'

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
    'the digest is signed. No registry, image or cluster is touched.',
  options: [['--out <file>', 'the artifact (default: .aether/<app>.tar.gz in the folder)'], ...packFlags],
  examples: ['aether pack', 'aether pack ./services/shop --out shop.tar.gz'],
  async run(context) {
    const { cwd, flags, output, env } = context
    const project = await loadProject(resolve(cwd, context.args[0] ?? '.'))
    const settings = await loadSettings(flags, env, project.folder, output.warn)
    const given = flags.text('out')
    const out = given === undefined ? await ownFile(project) : resolve(cwd, given)
    return packApp(project, { ...packOptions(context, settings), out }, async (packed) => {
      sayPacked(context, packed)
      output.line(`file       ${packed.file}`)
      return { ...packedRecord(packed), file: packed.file }
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

export function sayPacked({ output }: CommandContext, packed: PackedApp): void {
  output.line(`digest     ${packed.digest}`)
  output.line(`size       ${formatBytes(packed.bytes)}, ${packed.entries} entries`)
  output.line(`signature  ${packed.signature === null ? 'none' : `${packed.signature.slice(0, 16)}...`}`)
  output.line(`commit     ${packed.commit ?? 'none'}`)
  const { compileCache, ms } = packed
  if (compileCache !== null) output.line(`cache      ${compileCache.files} files for Node ${compileCache.version}`)
  const took = compileCache === null ? '' : `compile cache ${formatMs(ms.compileCache)}, `
  output.line(`took       install ${formatMs(ms.install)}, ${took}pack ${formatMs(ms.pack)}`)
}

export function packedRecord({ digest, bytes, entries, signature, commit, compileCache, ms }: PackedApp) {
  return { digest, bytes, entries, signature, commit, compileCache, ms }
}

/** In a folder that git passes over. */
async function ownFile({ folder, appName }: Project): Promise<string> {
  const own = join(folder, '.aether')
  await mkdir(own, { recursive: true })
  await writeFile(join(own, '.gitignore'), '*\n')
  return join(own, `${appName ?? 'app'}.tar.gz`)
}
