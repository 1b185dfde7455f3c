// aether convert: the tree of an archive that is packed already.
import { dirname, resolve } from 'node:path'
import { signDigest } from '@aether/artifact/sign'
import type { CommandDefinition } from '../basics/command.ts'
import { loadSettings } from '../basics/settings.ts'
import { loadSigningKey } from '../basics/signing.ts'
import { convertArchive, nameOfArchive, sayStore, storeRecord, treeFile } from '../release/pack-tree.ts'

export const convert: CommandDefinition = {
  usage: 'convert <archive>',
  summary: 'make a tree of a .tar.gz or .tar.zst that is packed already',
  about:
    'Reads the archive by the rules by which a pod does, and writes a tree of the same files, as `aether pack --tree` does of a ' +
    'folder: hard links become equal files. The digest is another one, and with AETHER_SIGNING_KEY it is signed.',
  options: [
    ['--out <folder>', 'where the files of the tree go (default: beside the archive)'],
    ['--from <tree...>', 'a .tree of before, its .index beside it: pods that run it fetch the difference; repeatable'],
  ],
  examples: ['aether convert shop.tar.gz', 'aether convert v2/shop.tar.gz --from v1/shop.tree'],
  async run({ args: [named = ''], flags, env, cwd, output }) {
    const archive = resolve(cwd, named)
    const { signingKey } = await loadSettings(flags, env, cwd, output.warn)
    const key = signingKey && (await loadSigningKey(signingKey, output.warn))
    if (key === undefined) output.warn('AETHER_SIGNING_KEY is not set: the artifact is not signed')
    const folder = resolve(cwd, flags.text('out') ?? dirname(archive))
    const from = flags.list('from').map((file) => resolve(cwd, file))
    const tree = await convertArchive(archive, { file: treeFile(folder, nameOfArchive(archive)), from }, output)
    const signature = key === undefined ? null : signDigest(tree.digest, key)
    output.line(`digest     ${tree.digest}`)
    output.line(`signature  ${signature === null ? 'none' : `${signature.slice(0, 16)}...`}`)
    sayStore(output, tree.store)
    const { digest, bytes, entries, file, store } = tree
    return { digest, bytes, entries, signature, file, files: storeRecord(store) }
  },
}
