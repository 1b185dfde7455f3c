// What is said about the inside of an image, and from where: libraries, SBOM, provenance, licences, options.
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { root } from './bundles.ts'
import { endedLines, findNewer, formatFindings, readSboms } from './check.ts'
import { debianComponent, nodeComponent, npmComponent } from './components.ts'
import { isOlder } from './debian.ts'
import { neededLibraries } from './elf.ts'
import { machines } from './machine.ts'
import { endOfLife, lines, pinnedRelease } from './node-lines.ts'
import { compareReleases } from './node-newest.ts'
import { parseOptions } from './options.ts'
import { loadProvenance } from './provenance.ts'
import { formatSbom, partsOf } from './sbom.ts'
import { isAccepted } from './third-party.ts'

const control = `Package: libstdc++6
Source: gcc-12 (12.2.0-14)
Version: 1:12.2.0-14+deb12u1
Architecture: amd64
`
const bookworm = { id: 'debian', version: '12' }
const subject = {
  reference: 'registry.example:5000/team/some:1',
  architecture: 'arm64',
  digest: `sha256:${'ab'.repeat(32)}`,
  created: '2026-01-02T03:04:05Z',
} as const

await test('the libraries of a binary are those that the loader finds for it', async (t) => {
  const listed = execFileSync('ldd', [process.execPath], { encoding: 'utf8' })
  const direct = await neededLibraries(process.execPath)
  t.ok(direct.includes('libc.so.6'), direct.join(' '))
  for (const name of direct) t.ok(listed.includes(name), name)
  await t.rejects(neededLibraries(join(root, 'package.json')), /package.json is no 64-bit little-endian ELF file/)
  await t.rejects(neededLibraries('/dev/null'), /no 64-bit/)
})

await test('a Debian package is named as scanners name it', (t) => {
  t.strictSame(debianComponent(control, bookworm), {
    type: 'library',
    name: 'libstdc++6',
    version: '1:12.2.0-14+deb12u1',
    architecture: 'amd64',
    source: 'gcc-12',
    purl: 'pkg:deb/debian/libstdc%2B%2B6@1%3A12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12',
  })
  t.throws(() => debianComponent('Package: x\n', bookworm), /names no package, version or architecture/)
  t.equal(npmComponent('@a/b', '1.0.0', 'MIT').purl, 'pkg:npm/%40a/b@1.0.0')
  t.end()
})

await test('an SBOM is the same each time, whatever the order, and lists each component once', (t) => {
  const components = [nodeComponent('26.1.0'), debianComponent(control, bookworm), npmComponent('@a/b', '1.0.0', 'MIT')]
  const text = formatSbom(subject, components, '0.1.0')
  t.equal(formatSbom(subject, [...components, ...components].toReversed(), '0.1.0'), text)
  const sbom: {
    serialNumber: string
    metadata: { timestamp: string; component: Record<string, string> }
    components: { name: string; 'bom-ref': string }[]
  } = JSON.parse(text)
  t.match(sbom.serialNumber, /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  t.equal(sbom.metadata.timestamp, subject.created)
  t.match(sbom.metadata.component, { type: 'container', name: 'some', version: subject.digest })
  t.match(
    sbom.metadata.component['purl'],
    /^pkg:oci\/some@sha256%3Aab.*\?arch=arm64&repository_url=registry.example%3A5000%2Fteam%2Fsome$/,
  )
  t.strictSame(
    sbom.components.map(({ name }) => name),
    ['aether', 'libstdc++6', 'node', '@a/b'],
  )
  t.equal(new Set(sbom.components.map((one) => one['bom-ref'])).size, 4)
  t.strictSame(partsOf('127.0.0.1:5000/a:b'), { repository: '127.0.0.1:5000/a', name: 'a', tag: 'b' })
  t.throws(() => partsOf('127.0.0.1:5000/a'), /has no tag/)
  t.end()
})

await test('what is older is told by Debian and by Node each in its own order', async (t) => {
  t.equal(await isOlder('2.36-9+deb12u9', '2.36-9+deb12u14'), true)
  t.equal(await isOlder('1.0', '1.0~rc1'), false)
  t.equal(await isOlder('1:1.0', '2.0'), false)
  t.strictSame(['22.9.0', '22.23.3', '22.10.0'].toSorted(compareReleases), ['22.9.0', '22.10.0', '22.23.3'])
  const finding = { package: 'libc6', architecture: 'amd64', inside: '1', newest: '2', isOld: true, images: ['a'] }
  const node = { ...finding, package: 'node', inside: '20.20.2', newest: '20.20.2', isOld: false }
  t.match(formatFindings([node, finding]).split('\n')[1] ?? '', /^libc6 .* NEWER /, 'what is newer comes first')
  t.match(endedLines([finding, node], new Date('2026-05-01')).join(), /^Node 20 is past its end of life \(2026-04-30\)/)
  t.strictSame(endedLines([finding, node], new Date('2026-04-30T12:00:00Z')), [])
  t.equal(endOfLife('26', new Date('2026-05-01')), undefined)
})

await test('where no image was built there is nothing to check, and that is an error', async (t) => {
  const folder = t.testdir({ 'x.amd64.cdx.json': formatSbom(subject, [], '1') })
  t.strictSame(
    (await readSboms(folder)).map(({ image }) => image),
    ['x'],
  )
  t.strictSame(await findNewer([]), [], 'without asking anybody')
  await t.rejects(readSboms(join(folder, 'nowhere')), /has no images with an SBOM: build them with npm run images/)
})

await test('every line of Node is pinned with its integrity for both architectures', async (t) => {
  for (const line of lines) {
    for (const machine of Object.values(machines)) {
      const { version, integrity } = await pinnedRelease(root, line, machine)
      t.match(version, new RegExp(`^${line}\\.\\d+\\.\\d+$`))
      t.match(integrity, /^sha512-[\w+/]{86}==$/)
    }
  }
})

await test('an image tells its commit and its time, and that files were not as committed', async (t) => {
  const folder = t.testdir({ 'package.json': '{"version":"1.2.3","license":"MIT"}' })
  const git = (...args: string[]) => {
    const env = { ...process.env, GIT_COMMITTER_DATE: '1700000000 +0100', GIT_CONFIG_GLOBAL: '/dev/null' }
    return execFileSync('git', ['-C', folder, '-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args], {
      env,
      encoding: 'utf8',
    })
  }
  // Below a repository of its own: the folder of a test lies in the project's.
  git('init', '-q')
  t.match(await loadProvenance(folder, undefined, undefined), { created: '1970-01-01T00:00:00Z' })
  git('add', 'package.json')
  git('commit', '-q', '-m', 'one')
  const revision = git('rev-parse', 'HEAD').trim()
  t.strictSame(await loadProvenance(folder, undefined, 'https://example.org/x'), {
    created: '2023-11-14T22:13:20Z',
    annotations: {
      'org.opencontainers.image.version': '1.2.3',
      'org.opencontainers.image.licenses': 'MIT',
      'org.opencontainers.image.source': 'https://example.org/x',
      'org.opencontainers.image.revision': revision,
    },
  })
  writeFileSync(join(folder, 'package.json'), '{"version":"1.2.4","license":"MIT"}')
  mkdirSync(join(folder, 'dist'))
  const dirty = await loadProvenance(folder, 60, undefined)
  t.equal(dirty.created, '1970-01-01T00:01:00Z', 'SOURCE_DATE_EPOCH comes first')
  t.equal(dirty.annotations['org.opencontainers.image.revision'], `${revision}-dirty`)
  t.equal(dirty.annotations['org.opencontainers.image.source'], undefined)
})

await test('a licence is accepted where its text is all that it asks for', (t) => {
  for (const license of ['MIT', '(MIT OR GPL-2.0-only)', 'Apache-2.0 AND ISC']) t.ok(isAccepted(license), license)
  for (const license of [undefined, 'GPL-3.0-only', 'MIT AND GPL-3.0-only', 'SEE LICENSE IN x'])
    t.notOk(isAccepted(license), `${license}`)
  t.end()
})

await test('options that do not go together or name nothing are refused with what they should be', (t) => {
  const parse = (...args: string[]) => parseOptions(args)
  t.equal(parse('--help'), undefined)
  t.match(parse(), {
    task: 'build',
    repository: 'aether.local',
    tag: 'dev',
    lines: [],
    architectures: undefined,
    epoch: undefined,
  })
  t.match(parse('--arch', 'arm64, amd64', '--node', '24,22,24'), {
    architectures: ['amd64', 'arm64'],
    lines: ['22', '24'],
  })
  t.match(parse('--push', 'registry.example/team'), { repository: 'registry.example/team' })
  t.throws(() => parse('--arch', 'riscv64'), /--arch takes amd64, arm64, with commas between; it has "riscv64"/)
  t.throws(() => parse('--node', '18'), /--node takes 20, 22, 24, 26/)
  t.throws(() => parse('--check', '--push', 'x'), /different tasks/)
  t.throws(() => parse('--from', 'x'), /--from belongs to --check/)
  t.throws(() => parse('--push', 'https://x'), /--push must be a host and a path/)
  t.throws(() => parse('--source', 'x'), /--source must be a URL/)
  t.throws(() => parseOptions([], 'now'), /SOURCE_DATE_EPOCH must be seconds/)
  t.end()
})
