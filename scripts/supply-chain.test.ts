// What the project takes in from others and how: the lockfile, install scripts, the workflows beside .ci/run.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (path: string) => readFileSync(join(root, path), 'utf8')

type Locked = { integrity?: string; resolved?: string; link?: boolean; hasInstallScript?: boolean; version?: string }
const lock: { lockfileVersion: number; packages: Record<string, Locked> } = JSON.parse(read('package-lock.json'))
const manifest: {
  scripts: Record<string, string>
  optionalDependencies: Record<string, string>
  allowScripts: Record<string, boolean>
} = JSON.parse(read('package.json'))
const packages = Object.entries(lock.packages).filter(([path, { link }]) => path.includes('node_modules/') && !link)

await test('the lockfile has a sha512 for every package, and none comes from elsewhere than the registry', (t) => {
  t.ok(packages.length > 100, `${packages.length} packages`)
  for (const [path, { integrity = '', resolved }] of packages) {
    if (!/^sha512-[\w+/]{86}==$/.test(integrity)) t.fail(`${path} has no sha512: npm install it anew`)
    // What comes from the registry has no address of its own (.npmrc): a git repository or a tarball would have one.
    if (resolved !== undefined) t.fail(`${path} comes from ${resolved}: take it from the registry`)
  }
  t.end()
})

await test('no install script of a dependency runs, and a new one that wants to is noticed', (t) => {
  t.match(read('.npmrc'), /^ignore-scripts=true$/m)
  const wanting = packages.filter(([, { hasInstallScript }]) => hasInstallScript).map(([path]) => path)
  t.strictSame(
    wanting.map((path) => path.replace(/^.*node_modules\//, '')),
    Object.keys(manifest.allowScripts),
    'look at what the script does, and whether the package works without it, before listing it',
  )
  t.end()
})

await test('both architectures have the Node that the lockfile pins', (t) => {
  const [first, ...others] = Object.keys(manifest.optionalDependencies).map((name) => {
    t.equal(lock.packages[`node_modules/${name}`]?.version, manifest.optionalDependencies[name], name)
    return manifest.optionalDependencies[name]
  })
  t.ok(others.length > 0 && others.every((version) => version === first))
  t.end()
})

const workflows = ['ci', 'images', 'patches'].map((name) => ({ name, text: read(`.github/workflows/${name}.yml`) }))
const commandsIn = (text: string) =>
  [
    ...text.matchAll(
      /npm (?:--silent )?(?:run (?:--silent )?)?(check|test|build|start|images|e2e|licenses|bench)\b([^\n'"`]*)/g,
    ),
  ].map(([, name = '', args = '']) => `${name}${args.replace(/\s*(\\|\|\||&&).*$/, '')}`.trim())

await test('the workflow of CI runs what .ci/run runs', (t) => {
  const ci = workflows.find(({ name }) => name === 'ci')?.text ?? ''
  const wanted = read('.ci/run')
    .split('\n')
    .filter((line) => /^\s*(if )?(\[.*&& )?step '/.test(line))
    .flatMap((line) => commandsIn(line.replace(/'[^']*'/, '')))
  t.ok(wanted.length >= 6, wanted.join(', '))
  const there = commandsIn(ci)
  for (const command of wanted) t.ok(there.includes(command), `ci.yml runs npm ${command}; it has ${there.join(', ')}`)
  t.end()
})

await test('the workflows name scripts that there are, say that they were not run, and take rights by name', (t) => {
  for (const { name, text } of workflows) {
    for (const command of commandsIn(text)) t.ok(manifest.scripts[command.split(' ')[0] ?? ''], `${name}: ${command}`)
    for (const [, script = ''] of text.matchAll(/npm run (?:--silent )?([\w-]+)/g))
      t.ok(manifest.scripts[script], script)
    t.match(text, /^# Not run where this was written/m, name)
    t.match(text, /^permissions: \{ contents: read \}$/m, name)
    t.notMatch(
      text,
      /run:.*\$\{\{ *github\.(event|head_ref)/,
      `${name} puts nothing that a stranger wrote into a shell`,
    )
    for (const [, path = ''] of text.matchAll(/npm test -- (\S+)/g)) t.ok(read(path).length > 0, path)
  }
  t.end()
})

await test('the configuration of Renovate is JSON, and moves both architectures of Node together', (t) => {
  const { packageRules }: { packageRules: { matchPackageNames?: string[]; groupName?: string }[] } = JSON.parse(
    read('renovate.json'),
  )
  t.strictSame(
    packageRules.find(({ groupName }) => groupName === 'Node')?.matchPackageNames?.toSorted(),
    Object.keys(manifest.optionalDependencies).toSorted(),
  )
  t.end()
})
