import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { bundleCommands, formatBundle } from './bundle.ts'

const commands = { greet: 'greet/main.ts', count: 'count/main.ts' }

// A repository with two commands, code they share, a worker, and two packages: one CommonJS, one ES module.
const repository = {
  shared: { 'name.ts': "export const name: string = 'the shared part'\n" },
  greet: {
    'main.ts': [
      "import { name } from '../shared/name.ts'",
      "const { hello } = await import('old-style')",
      "const { Worker } = await import('node:worker_threads')",
      "console.log(hello(name), 'and', (await import('new-style')).default)",
      "new Worker(new URL('./heavy.ts', import.meta.url)).on('message', (text) => console.log(text))",
    ].join('\n'),
    'heavy.ts': "import { parentPort } from 'node:worker_threads'\nparentPort?.postMessage('from the worker')\n",
  },
  count: {
    'main.ts': "import { name } from '../shared/name.ts'\nconsole.log(name.length, ...process.argv.slice(2))\n",
  },
  node_modules: {
    'old-style': {
      'package.json': '{"name":"old-style","version":"1.2.3","license":"MIT"}',
      'index.js':
        "/*! kept comment */\nconst os = require('os')\nexports.hello = (who) => `hello ${who} ${typeof os.arch}`\n",
      LICENSE: 'The licence of old-style.',
    },
    'new-style': {
      'package.json': '{"name":"new-style","version":"2.0.0","license":"ISC","type":"module","exports":"./index.js"}',
      'index.js': "export default 'new-style'\n",
    },
    unused: { 'package.json': '{"name":"unused"}', LICENSE: 'Not in the bundle.' },
  },
}

function filesBelow(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).toSorted()
  const files = names.filter((name) => statSync(join(folder, name)).isFile())
  return Object.fromEntries(files.map((name) => [name, readFileSync(join(folder, name), 'utf8')]))
}

await test('a command runs from its extensionless file, with its worker and its lazy packages', async (t) => {
  const root = t.testdir(repository)
  const out = join(root, 'dist', 'agents')
  await bundleCommands(root, { commands }, out)
  // As in an image: away from the repository and its node_modules, and without the environment of this test.
  const installed = mkdtempSync(join(tmpdir(), 'bundle-'))
  t.teardown(() => rmSync(installed, { recursive: true }))
  cpSync(out, installed, { recursive: true })
  const run = (command: string, ...args: string[]) =>
    execFileSync('env', ['-i', process.execPath, join(installed, 'bin', command), ...args], { encoding: 'utf8' })
  t.equal(run('greet'), 'hello the shared part function and new-style\nfrom the worker\n')
  t.equal(run('count', 'a', 'b'), '15 a b\n')
})

await test('a command starts by the shebang of the Node in the image and is executable', async (t) => {
  const root = t.testdir(repository)
  const out = join(root, 'dist', 'agents')
  await bundleCommands(root, { commands }, out)
  t.equal(readFileSync(join(out, 'bin', 'count'), 'utf8'), "#!/usr/local/bin/node\nimport '../lib/count.js'\n")
  t.equal(statSync(join(out, 'bin', 'count')).mode & 0o777, 0o755)
  t.strictSame(JSON.parse(readFileSync(join(out, 'package.json'), 'utf8')), { type: 'module' })
})

await test('two builds give the same files, and nothing of an earlier build stays', async (t) => {
  const root = t.testdir(repository)
  const out = join(root, 'dist', 'agents')
  await bundleCommands(root, { commands }, out)
  const first = filesBelow(out)
  writeFileSync(join(out, 'lib', 'left-over.js'), '')
  await bundleCommands(root, { commands }, out)
  t.strictSame(filesBelow(out), first)
  t.notOk(
    Object.values(first).some((text) => text.includes(root)),
    'the place of the repository is not in it',
  )
})

await test('each command knows its files, those loaded at the start and those loaded later', async (t) => {
  const root = t.testdir(repository)
  const out = join(root, 'dist', 'agents')
  const [greet, count] = await bundleCommands(root, { commands }, out)
  t.ok(greet !== undefined && greet.startBytes < greet.allBytes)
  t.ok(greet?.files.includes('lib/greet-heavy.js'), 'the worker belongs to it')
  t.notOk(count?.files.includes('lib/greet-heavy.js'))
  t.equal(count?.startBytes, count?.allBytes)
  t.equal(formatBundle(count === undefined ? [] : [count]).split('\n').length, 2)
})

await test('a command that starts quickly loads one file, and what comes later has the same of each module', async (t) => {
  const main = [
    "import { Marker, seen } from '../shared/marker.ts'",
    "import { also } from '../shared/also.ts'",
    'async function main() {',
    "  seen.push('start')",
    '  const loaded = () => Object.keys(require.cache).length',
    '  const before = loaded()',
    "  const { make } = await import('./later.ts')",
    "  const { hello } = await import('old-style')",
    "  const same = (await import('../shared/also.ts')).also === also",
    '  console.log(before, make() instanceof Marker, seen.join(), same, hello(import.meta.dirname.slice(-3)))',
    '}',
    'void main()',
  ]
  const { node_modules } = repository
  const root = t.testdir({
    node_modules,
    shared: {
      'marker.ts': 'export const seen: string[] = []\nexport class Marker {}\n',
      'also.ts': 'export const also = {}\n',
    },
    quick: {
      'main.ts': main.join('\n'),
      'later.ts':
        "import { Marker, seen } from '../shared/marker.ts'\nexport const make = () => (seen.push('later'), new Marker())\n",
    },
    other: { 'main.ts': "import { Marker } from '../shared/marker.ts'\nconsole.log(Marker.name)\n" },
  })
  const recipe = { commands: { quick: 'quick/main.ts', other: 'other/main.ts' }, isQuick: true }
  const out = mkdtempSync(join(tmpdir(), 'bundle-'))
  t.teardown(() => rmSync(out, { recursive: true }))
  const [quick, other] = await bundleCommands(root, recipe, out)
  const first = filesBelow(out)
  const run = (command: string) =>
    execFileSync('env', ['-i', process.execPath, join(out, 'bin', command)], { encoding: 'utf8' })
  // The file of bin and the one of lib.
  t.equal(run('quick'), '2 true start,later true hello lib function\n')
  t.equal(run('other'), 'Marker\n')
  t.equal(other?.startBytes, other?.allBytes, 'its list has no more than the one file')
  t.ok(quick !== undefined && quick.startBytes < quick.allBytes)
  await bundleCommands(root, recipe, out)
  t.strictSame(filesBelow(out), first, 'built again it is the same')
})

await test('a worker of a command that starts quickly has what it shares with the start in files of its own', async (t) => {
  const root = t.testdir({
    shared: {
      'deep.ts': "export const deep = 'deep'\n",
      'part.ts': "import { deep } from './deep.ts'\nexport const part = () => `${deep} part`\n",
    },
    quick: {
      'main.ts': [
        "import { part } from '../shared/part.ts'",
        "import { Worker } from 'node:worker_threads'",
        'console.log(part())',
        "new Worker(new URL('./thread.ts', import.meta.url)).on('message', (text) => console.log(text))",
      ].join('\n'),
      'thread.ts':
        "import { parentPort } from 'node:worker_threads'\nimport { part } from '../shared/part.ts'\nparentPort?.postMessage(`${part()} of the worker`)\n",
    },
    other: { 'main.ts': "import { deep } from '../shared/deep.ts'\nconsole.log(deep)\n" },
  })
  const out = mkdtempSync(join(tmpdir(), 'bundle-'))
  t.teardown(() => rmSync(out, { recursive: true }))
  await bundleCommands(root, { commands: { quick: 'quick/main.ts', other: 'other/main.ts' }, isQuick: true }, out)
  const text = execFileSync('env', ['-i', process.execPath, join(out, 'bin/quick')], { encoding: 'utf8' })
  t.equal(text, 'deep part\ndeep part of the worker\n')
})

await test('the licences of what is bundled go along, and no others', async (t) => {
  const root = t.testdir(repository)
  const out = join(root, 'dist', 'agents')
  await bundleCommands(root, { commands }, out)
  const licenses = readFileSync(join(out, 'LICENSES'), 'utf8')
  t.match(licenses, 'old-style 1.2.3 (MIT)\n\nThe licence of old-style.')
  t.match(licenses, 'new-style 2.0.0 (ISC)')
  t.match(licenses, 'kept comment')
  t.notMatch(licenses, 'Not in the bundle')
})

await test('assets and what packages read beside themselves are found in the bundle; an external package is not', async (t) => {
  const reader = [
    "const { readFileSync } = require('node:fs')",
    "exports.words = () => readFileSync(require('node:path').join(__dirname, '..', 'static', 'words.txt'), 'utf8')",
  ]
  const root = t.testdir({
    show: {
      'main.ts': [
        "import { readFileSync } from 'node:fs'",
        "import reader from 'reader'",
        "console.log(reader.words(), readFileSync(import.meta.dirname + '/tables/1.sql', 'utf8'))",
        "await import('heavy-one').catch((error: NodeJS.ErrnoException) => console.log(error.code))",
      ].join('\n'),
      tables: { '1.sql': 'SELECT 1' },
    },
    node_modules: {
      reader: {
        'package.json': '{"name":"reader","version":"1.0.0","main":"lib/main.js"}',
        lib: { 'main.js': reader.join('\n') },
        static: { 'words.txt': 'words of a package' },
      },
      'heavy-one': { 'package.json': '{"name":"heavy-one","version":"1.0.0","main":"main.js"}', 'main.js': '' },
    },
  })
  const recipe = {
    commands: { show: 'show/main.ts' },
    assets: [
      { from: 'show/tables', to: 'lib/tables' },
      { from: 'node_modules/reader/static', to: 'lib/reader/static' },
    ],
    external: ['heavy-one'],
    withFiles: ['reader'],
  }
  const out = mkdtempSync(join(tmpdir(), 'bundle-'))
  t.teardown(() => rmSync(out, { recursive: true }))
  const [show] = await bundleCommands(root, recipe, out)
  const printed = execFileSync('env', ['-i', process.execPath, join(out, 'bin', 'show')], { encoding: 'utf8' })
  t.equal(printed, 'words of a package SELECT 1\nERR_MODULE_NOT_FOUND\n')
  t.strictSame(show?.files.toSorted(), Object.keys(filesBelow(out)).toSorted(), 'its list names every file')
})

await test('a bundle that fails leaves the last good one in place', async (t) => {
  const root = t.testdir(repository)
  const out = join(root, 'dist', 'agents')
  await bundleCommands(root, { commands }, out)
  const good = filesBelow(out)
  writeFileSync(join(root, 'count', 'main.ts'), "new URL('./absent.ts', import.meta.url)\n")
  await t.rejects(bundleCommands(root, { commands }, out), /names \.\/absent\.ts, which is no TypeScript file/)
  t.strictSame(filesBelow(out), good)
})
