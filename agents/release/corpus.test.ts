// Archives made by the tools that people pack with, each unpacked by us and by GNU tar. A tool that is not here is named.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { createTarReader, type TarEntry } from '@aether/artifact/tar-reader'
import { type Detail, ReasonError } from '@aether/contract/reasons'
import { test } from 'tap'
import { createWorld, limits, listTree } from './test-kit.ts'
import { plant } from './test-tree.ts'

interface Recipe {
  readonly tool: string
  readonly what: string
  /** Run by sh in a tree of its own; writes a tar or tar.gz to $1. */
  readonly script: string
  /** The form cannot hold long names. */
  readonly short?: true
  readonly refused?: Detail<'extract'>
}

const gnu = (what: string, options: string): Recipe => ({ tool: 'tar', what, script: `tar ${options} -cf "$1" .` })
const bsd = (form: string, options = ''): Recipe => ({
  tool: 'bsdtar',
  what: `${form} ${options}`.trim(),
  script: `bsdtar -cf "$1" --format ${form} ${options} .`,
})
const python = (form: string): Recipe => ({
  tool: 'python3',
  what: form,
  script: `python3 -c 'import sys, tarfile
with tarfile.open(sys.argv[1], "w:gz", format=tarfile.${form}_FORMAT) as t: t.add(".")' "$1"`,
})
const sparse = (what: string, options: string): Recipe => ({
  tool: 'tar',
  what: `sparse, ${what}`,
  script: `mkdir ../holes && truncate -s 4M ../holes/f && echo end >> ../holes/f && tar ${options} -cSf "$1" -C ../holes .`,
  refused: 'unsupported_entry',
})
const tarRefused = (what: string, refused: Detail<'extract'>, script: string): Recipe => ({
  tool: 'tar',
  what,
  script,
  refused,
})
const repository =
  'git init -q . && git add -A && git -c user.name=n -c user.email=e@example.org -c commit.gpgsign=false commit -qm x'

const recipes: readonly Recipe[] = [
  gnu('gnu', '--format=gnu'),
  gnu('oldgnu', '--format=oldgnu'),
  gnu('pax', '--format=pax'),
  { ...gnu('ustar', '--format=ustar'), short: true },
  { ...gnu('v7', '--format=v7'), short: true },
  gnu('pax with global records', '--format=pax --pax-option=globexthdr.name=g,comment:=x'),
  gnu('gnu, sorted, without hard links', '--format=gnu --sort=name --hard-dereference'),
  {
    tool: 'tar',
    what: 'files only, no folders',
    script: 'find . ! -type d > ../list; tar -cf "$1" --verbatim-files-from -T ../list',
  },
  {
    tool: 'tar',
    what: 'several gzip members',
    script: 'tar -cf ../one . && split -b 70000 ../one ../part. && for p in ../part.*; do gzip -c $p; done > "$1"',
  },
  { tool: 'zstd', what: 'level 3', script: 'tar -cf - . | zstd -q -3 > "$1"' },
  { tool: 'zstd', what: 'level 19', script: 'tar -cf - . | zstd -q -19 > "$1"' },
  { tool: 'zstd', what: 'by GNU tar', script: 'tar --zstd -cf "$1" .' },
  {
    tool: 'zstd',
    what: 'several frames',
    script: 'tar -cf ../one . && split -b 70000 ../one ../part. && for p in ../part.*; do zstd -q < $p; done > "$1"',
  },
  {
    tool: 'zstd',
    what: 'a window of 128 MiB',
    script: 'tar -cf - . | zstd -q --long=27 > "$1"',
    refused: 'limit',
  },
  sparse('gnu', '--format=gnu'),
  sparse('pax 0.0', '--format=pax --sparse-version=0.0'),
  sparse('pax 0.1', '--format=pax --sparse-version=0.1'),
  sparse('pax 1.0', '--format=pax --sparse-version=1.0'),
  tarRefused('a FIFO', 'unsupported_entry', 'mkfifo pipe && tar -cf "$1" .'),
  tarRefused('setuid', 'unsupported_entry', 'chmod u+s bin/run && tar -cf "$1" .'),
  tarRefused('a volume label', 'unsupported_entry', 'tar -cf "$1" -V label .'),
  tarRefused('an incremental archive', 'unsupported_entry', 'tar -cf "$1" -g ../snapshot .'),
  tarRefused('absolute names', 'path_escape', 'tar -cPf "$1" "$PWD"'),
  tarRefused('one file appended again', 'duplicate', 'tar -cf "$1" . && tar -rf "$1" ./server.js'),
  tarRefused('two archives in a row', 'not_tar', 'tar -cf ../one . && cat ../one ../one > "$1"'),
  tarRefused('an absolute symlink', 'link_escape', 'ln -s /etc/passwd p && tar -cf "$1" .'),
  { ...bsd('ustar'), short: true },
  { ...bsd('v7'), short: true },
  bsd('gnutar'),
  bsd('pax'),
  {
    ...bsd('pax', '--xattrs'),
    script: 'setfattr -n user.odd -v 0xff00fe server.js 2>/dev/null; bsdtar -cf "$1" --format pax --xattrs .',
  },
  { tool: 'busybox', what: 'tar', script: 'busybox tar -cf "$1" .' },
  python('GNU'),
  python('PAX'),
  { ...python('USTAR'), short: true },
  { tool: 'git', what: 'archive', script: `${repository} && git archive --format=tar -o "$1" HEAD` },
  {
    tool: 'git',
    what: 'archive with a prefix',
    script: `${repository} && git archive --format=tar --prefix=app/ -o "$1" HEAD`,
  },
  {
    tool: 'npm',
    what: 'pack',
    script: `printf '{"name":"app","version":"1.0.0"}' > package.json; npm pack --silent --pack-destination .. >/dev/null; mv ../app-1.0.0.tgz "$1"`,
  },
  { tool: 'go', what: 'archive/tar', script: 'go run ../pack.go . > "$1"' },
]

const zstdMagic = 0xfd2fb528 // RFC 8878, 3.1.1

const goProgram = `package main

import ("archive/tar"; "os")

func main() {
	w := tar.NewWriter(os.Stdout)
	if err := w.AddFS(os.DirFS(os.Args[1])); err != nil { panic(err) }
	if err := w.Close(); err != nil { panic(err) }
}
`

const missing = [...new Set(recipes.map(({ tool }) => tool))].filter(
  (tool) => spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0,
)

await test('archives of real tools are accepted and equal, or refused by the rule that they break', async (t) => {
  const world = await createWorld(t)
  const equal = new Map<string, number>()
  const refused: string[] = []
  for (const { tool, what, script, short, refused: rule } of recipes) {
    const name = `${tool}: ${what}`
    if (missing.includes(tool)) {
      await t.test(name, { skip: `${tool} is not installed` }, async () => {})
      continue
    }
    const folder = mkdtempSync(join(t.testdirName, 'made-'))
    const [source, theirs, out] = [join(folder, 'source'), join(folder, 'theirs'), join(folder, 'out.tar')]
    plant(source, !short)
    mkdirSync(theirs)
    writeFileSync(join(folder, 'pack.go'), goProgram)
    execFileSync('sh', ['-c', script, 'sh', out], { cwd: source, stdio: ['ignore', 'pipe', 'pipe'] })
    const made = readFileSync(out)
    const isPacked = made[0] === 0x1f || made.readUInt32LE(0) === zstdMagic
    const take = world.take(world.publish(isPacked ? made : gzipSync(made, { level: 1 })))
    if (rule !== undefined) {
      const error = await take.then(
        () => undefined,
        (thrown: unknown) => thrown,
      )
      t.ok(error instanceof ReasonError, `${name} is refused`)
      if (!(error instanceof ReasonError)) continue
      t.equal(error.detail, rule, `${name}: ${error.message}`)
      refused.push(`${what} (${error.detail})`)
      continue
    }
    await take
    execFileSync('tar', ['-xf', out, '-C', theirs])
    const ours = listTree(join(world.layout.workspace, 'current'))
    t.strictSame(ours, listTree(theirs), `${name}: ${ours.length} entries, equal`)
    t.ok(ours.length >= 10, name)
    equal.set(tool, (equal.get(tool) ?? 0) + 1)
  }
  const counts = [...equal].map(([tool, n]) => `${tool} ${n}`).join(', ')
  t.comment(
    `accepted and equal: ${counts}; refused ${refused.length}: ${refused.join(', ')}; not installed: ${missing.join(', ') || 'none'}`,
  )
})

for (const [form, tool] of [
  ['gnu', 'tar'],
  ['pax', 'tar'],
  ['gnutar', 'bsdtar --no-read-sparse'],
  ['pax', 'bsdtar --no-read-sparse'],
] as const)
  await test(`the size of a file of 9 GiB is read from the header of ${tool}, ${form}`, {
    skip: missing.includes(tool.replace(/ .*/, '')) && `${tool.replace(/ .*/, '')} is not installed`,
  }, async (t) => {
    const folder = t.testdir({})
    // The first blocks only: nobody writes 9 GiB.
    const script = `truncate -s 9G big && ${tool} --format ${form} -cf - big | head -c 8192`
    const head = execFileSync('sh', ['-c', script], { cwd: folder, stdio: ['ignore', 'pipe', 'ignore'] })
    const entries: TarEntry[] = []
    createTarReader({ entry: (entry) => entries.push(entry), data() {}, end() {} }, limits).write(head)
    t.match(entries, [{ kind: 'file', path: 'big', size: 9 * 1024 ** 3 }])
  })
