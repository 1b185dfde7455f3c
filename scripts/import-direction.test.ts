// The lint rule that holds the direction of imports, held itself: each edge that the design forbids is refused by it.
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { test } from 'tap'

const root = fileURLToPath(new URL('..', import.meta.url))

// docs/adr/0002: who may import whom.
const mayImport: Readonly<Record<string, readonly string[]>> = {
  contract: [],
  artifact: ['contract'],
  'agents/runtime': ['contract'],
  'agents/verifier': ['contract'],
  'agents/release': ['contract', 'artifact', 'runtime', 'verifier'],
  'agents/init-fetch': ['contract', 'runtime', 'verifier', 'release'],
  'agents/fetcher': ['contract', 'runtime', 'verifier', 'release'],
  'agents/supervisor': ['contract', 'runtime'],
  control: ['contract', 'artifact', 'runtime', 'verifier'],
  cli: ['contract', 'artifact', 'verifier'],
  images: ['contract', 'artifact'],
  e2e: ['contract', 'artifact'],
  bench: ['contract', 'artifact', 'fetcher', 'images', 'e2e'],
  scripts: ['contract', 'artifact'],
}

// The folders of control and of cli; what stands beside them brings them together.
const roomsMayImport: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  control: {
    domain: [],
    store: ['domain'],
    blobs: ['domain'],
    cluster: ['domain'],
    http: ['domain'],
  },
  cli: {
    basics: [],
    release: ['basics'],
    control: ['basics', 'release'],
    cluster: ['basics'],
    dev: ['basics', 'release', 'control', 'cluster'],
    commands: ['basics', 'release', 'control', 'cluster', 'dev'],
  },
}

await test('every import that the design forbids is refused by npm run check, and the others are not', async (t) => {
  // Outside the repository: the linter passes over what git ignores.
  const folder = mkdtempSync(join(tmpdir(), 'aether-imports-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  copyFileSync(join(root, '.oxlintrc.json'), join(folder, '.oxlintrc.json'))
  const names = Object.keys(mayImport).map((path) => path.split('/').at(-1) ?? path)
  const expected: string[] = []
  for (const [path, allowed] of Object.entries(mayImport)) {
    for (const name of names) {
      const file = join(path, `to-${name}.ts`)
      mkdirSync(dirname(join(folder, file)), { recursive: true })
      writeFileSync(join(folder, file), `import { thing } from '@aether/${name}/thing'\nconsole.log(thing)\n`)
      if (!allowed.includes(name) && !path.endsWith(name)) expected.push(file)
    }
    // Around the package names: out of the folder, or where it has folders inside, out of those and it.
    const isDeep = ['control', 'cli', 'e2e', 'bench', 'scripts'].includes(path)
    const around = join(path, isDeep ? 'kit/around.ts' : 'around.ts')
    mkdirSync(dirname(join(folder, around)), { recursive: true })
    writeFileSync(
      join(folder, around),
      `import { thing } from '${isDeep ? '../../' : '../'}other/thing.ts'\nconsole.log(thing)\n`,
    )
    expected.push(around)
  }
  for (const [path, rooms] of Object.entries(roomsMayImport))
    for (const [from, allowed] of Object.entries(rooms))
      for (const to of Object.keys(rooms)) {
        const file = join(path, from, `into-${to}.ts`)
        mkdirSync(dirname(join(folder, file)), { recursive: true })
        writeFileSync(join(folder, file), `import { thing } from '../${to}/thing.ts'\nconsole.log(thing)\n`)
        if (from !== to && !allowed.includes(to)) expected.push(file)
      }
  // Through env, because the test runner puts its loaders into every Node that it starts.
  const linter = join(root, 'node_modules', '.bin', 'oxlint')
  const { stdout } = await execa('env', ['-i', `PATH=${process.env.PATH}`, linter, '--format=json', '.'], {
    cwd: folder,
    reject: false,
  })
  const report: { diagnostics: { filename: string; code: string }[] } = JSON.parse(stdout)
  const refused = report.diagnostics
    .filter((one) => one.code.includes('no-restricted-imports'))
    .map((one) => one.filename)
  t.same(refused.toSorted(), expected.toSorted())
})

await test('the workspaces declare what they may import and nothing else of ours', (t) => {
  for (const [path, allowed] of Object.entries(mayImport)) {
    const manifest: { dependencies?: Record<string, string> } = JSON.parse(
      readFileSync(join(root, path, 'package.json'), 'utf8'),
    )
    const ours = Object.keys(manifest.dependencies ?? {}).filter((name) => name.startsWith('@aether/'))
    t.ok(
      ours.every((name) => allowed.includes(name.slice('@aether/'.length))),
      `${path}: ${ours.join(', ')}`,
    )
  }
  t.end()
})
