import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { type Test, test } from 'tap'
import { extract, list } from 'tar'
import { cachedFolder, removeStale } from './cache.ts'
import { type Entry, fileEntry, folderEntry, type Layer, linkEntry, loadLayer, textEntry, writeLayer } from './layer.ts'
import { detectMachine } from './machine.ts'
import { type Image, mediaTypes, packImage, writeArchive } from './oci.ts'
import { formatTable } from './table.ts'

const sha256 = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

function namesIn(file: string): string[] {
  const names: string[] = []
  list({ file, sync: true, onReadEntry: (entry) => names.push(entry.path) })
  return names
}

function imageOf(layers: readonly Layer[], reference = 'aether.local/some:dev'): Image {
  return {
    reference,
    architecture: 'amd64',
    entrypoint: ['/usr/local/bin/tini', '--'],
    command: ['fetcher'],
    env: { PATH: '/aether/bin' },
    user: '65532:65532',
    workingDir: '/',
    stopSignal: 'SIGINT',
    created: '1970-01-02T00:00:00Z',
    annotations: { 'org.opencontainers.image.title': 'some' },
    layers,
  }
}

type Descriptor = { digest: string; size: number; annotations?: Record<string, string> }

/** Unpacks an archive and follows its descriptors as an engine does, each held against the bytes it names. */
function openArchive(t: Test, file: string, folder: string) {
  mkdirSync(folder)
  extract({ file, cwd: folder, sync: true })
  const blob = ({ digest, size }: Descriptor) => {
    const bytes = readFileSync(join(folder, 'blobs', digest.replace(':', '/')))
    t.equal(sha256(bytes), digest)
    t.equal(bytes.length, size)
    return bytes
  }
  const index: { manifests: [Descriptor] } = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8'))
  const manifest: { config: Descriptor; layers: Descriptor[]; annotations: Record<string, string> } = JSON.parse(
    blob(index.manifests[0]).toString(),
  )
  const config: { created: string; config: Record<string, unknown>; rootfs: { diff_ids: string[] } } = JSON.parse(
    blob(manifest.config).toString(),
  )
  return { index, manifest, config, layers: manifest.layers.map(blob) }
}

await test('a layer has the modes, owners and times it was told, in the order of the paths', async (t) => {
  const folder = t.testdir({ program: '#!/bin/sh\n' })
  chmodSync(join(folder, 'program'), 0o600)
  const file = join(folder, 'layer.tar.gz')
  await writeLayer(
    [
      folderEntry('workspace', 0o750, 65532),
      linkEntry('usr/bin/also', '../../app/program'),
      fileEntry('app/program', join(folder, 'program'), 0o755),
      textEntry('app-notes', 'hello'),
    ],
    file,
    1000,
  )
  const seen: string[] = []
  list({
    file,
    sync: true,
    onReadEntry: ({ path, mode, uid, gid, mtime, type, linkpath, uname }) => {
      t.equal(mtime?.getTime(), 1_000_000)
      t.equal(uname, '')
      seen.push(`${type} ${path} ${mode?.toString(8)} ${uid}:${gid}${linkpath ? ` -> ${linkpath}` : ''}`)
    },
  })
  t.strictSame(seen, [
    'Directory app/ 755 0:0',
    'File app-notes 644 0:0',
    'File app/program 755 0:0',
    'Directory usr/ 755 0:0',
    'Directory usr/bin/ 755 0:0',
    'SymbolicLink usr/bin/also 777 0:0 -> ../../app/program',
    'Directory workspace/ 750 65532:65532',
  ])
})

await test('the same entries give the same layer, whatever their order and the files on disk look like', async (t) => {
  const folder = t.testdir({ big: 'x'.repeat(3_000_001) })
  const entries: Entry[] = [textEntry('b', '2'), fileEntry('a/big', join(folder, 'big')), textEntry('a/c', '')]
  const first = await writeLayer(entries, join(folder, '1.tar.gz'), 0)
  chmodSync(join(folder, 'big'), 0o777)
  utimesSync(join(folder, 'big'), 5, 5)
  const second = await writeLayer(entries.toReversed(), join(folder, '2.tar.gz'), 0)
  t.equal(second.digest, first.digest)
  t.equal(second.diffId, first.diffId)
  t.not((await writeLayer(entries, join(folder, '3.tar.gz'), 1)).digest, first.digest)
})

await test('a layer states the digest and size of what it is packed and unpacked', async (t) => {
  const folder = t.testdir()
  const layer = await writeLayer([textEntry('a', 'hello')], join(folder, 'layer.tar.gz'), 0)
  const packed = readFileSync(layer.file)
  t.equal(layer.digest, sha256(packed))
  t.equal(layer.bytes, packed.length)
  t.equal(layer.diffId, sha256(gunzipSync(packed)))
  t.equal(layer.unpackedBytes, gunzipSync(packed).length)
  t.strictSame(await loadLayer(layer.file), layer)
  t.strictSame(readdirSync(folder), ['layer.tar.gz'])
})

await test('a damaged layer is not loaded', async (t) => {
  const folder = t.testdir()
  const { file } = await writeLayer([textEntry('a', 'hello'.repeat(1000))], join(folder, 'layer.tar.gz'), 0)
  writeFileSync(file, readFileSync(file).subarray(0, -6))
  await t.rejects(loadLayer(file))
})

await test('an entry that tar could not hold faithfully is refused', async (t) => {
  const file = join(t.testdir(), 'layer.tar.gz')
  await t.rejects(writeLayer([textEntry('../a', '')], file, 0), /plain and relative/)
  await t.rejects(writeLayer([textEntry('/a', '')], file, 0), /plain and relative/)
  await t.rejects(writeLayer([textEntry('a', ''), folderEntry('a')], file, 0), /two entries at a/)
  await t.rejects(writeLayer([textEntry('n'.repeat(200), '')], file, 0), /shorter ASCII path/)
})

await test('in an image archive every descriptor holds and the configuration is what was asked for', async (t) => {
  const folder = t.testdir()
  const one = await writeLayer([textEntry('one', '1')], join(folder, '1.tar.gz'), 0)
  const two = await writeLayer([textEntry('two', '2')], join(folder, '2.tar.gz'), 0)
  const packed = packImage([imageOf([one, two])])
  await writeArchive(packed, join(folder, 'out', 'some.tar'), 86_400)

  const { index, manifest, config, layers } = openArchive(t, join(folder, 'out', 'some.tar'), join(folder, 'open'))
  t.strictSame(JSON.parse(readFileSync(join(folder, 'open', 'oci-layout'), 'utf8')), { imageLayoutVersion: '1.0.0' })
  t.equal(index.manifests[0].digest, packed.root.descriptor.digest)
  t.match(index.manifests[0], { mediaType: mediaTypes.manifest, platform: { architecture: 'amd64', os: 'linux' } })
  t.equal(manifest.annotations['org.opencontainers.image.created'], '1970-01-02T00:00:00Z')
  t.match(index.manifests[0].annotations, {
    'io.containerd.image.name': 'aether.local/some:dev',
    'org.opencontainers.image.ref.name': 'aether.local/some:dev',
  })
  t.strictSame(
    config.rootfs.diff_ids,
    layers.map((bytes) => sha256(gunzipSync(bytes))),
  )
  t.equal(config.created, '1970-01-02T00:00:00Z')
  t.strictSame(config.config, {
    User: '65532:65532',
    Env: ['PATH=/aether/bin'],
    Entrypoint: ['/usr/local/bin/tini', '--'],
    Cmd: ['fetcher'],
    WorkingDir: '/',
    StopSignal: 'SIGINT',
    Labels: { 'org.opencontainers.image.title': 'some', 'org.opencontainers.image.created': '1970-01-02T00:00:00Z' },
  })
})

await test('two builds give the same archive, and two images share the layer they have in common', async (t) => {
  const folder = t.testdir()
  const base = await writeLayer([textEntry('node', 'N')], join(folder, 'base.tar.gz'), 0)
  const agent = await writeLayer([textEntry('agent', 'A')], join(folder, 'agent.tar.gz'), 0)
  const write = async (name: string, image: Image) => {
    const packed = packImage([image])
    await writeArchive(packed, join(folder, name), 0)
    return { file: join(folder, name), digest: packed.root.descriptor.digest }
  }
  const first = await write('agent.tar', imageOf([base, agent], 'x/agent:1'))
  const again = await write('again.tar', imageOf([base, agent], 'x/agent:1'))
  t.ok(readFileSync(first.file).equals(readFileSync(again.file)))

  const other = await write('other.tar', imageOf([base], 'x/other:1'))
  t.not(other.digest, first.digest)
  const shared = namesIn(first.file).filter((name) => namesIn(other.file).includes(name))
  t.strictSame(
    shared.filter((name) => !name.endsWith('/')).toSorted(),
    [`blobs/${base.digest.replace(':', '/')}`, 'index.json', 'oci-layout'].toSorted(),
  )
})

await test('for two architectures the name points to an index of both, and what they share lies there once', async (t) => {
  const folder = t.testdir()
  const base = await writeLayer([textEntry('node', 'N')], join(folder, 'base.tar.gz'), 0)
  const agent = await writeLayer([textEntry('agent', 'A')], join(folder, 'agent.tar.gz'), 0)
  const packed = packImage([imageOf([base, agent]), { ...imageOf([agent]), architecture: 'arm64' }])
  await writeArchive(packed, join(folder, 'both.tar'), 0)
  mkdirSync(join(folder, 'open'))
  extract({ file: join(folder, 'both.tar'), cwd: join(folder, 'open'), sync: true })
  const read = (path: string) => readFileSync(join(folder, 'open', path))
  const top: { manifests: [Descriptor & { mediaType: string }] } = JSON.parse(read('index.json').toString())
  t.equal(top.manifests.length, 1)
  t.equal(top.manifests[0].mediaType, mediaTypes.index)
  t.equal(top.manifests[0].annotations?.['org.opencontainers.image.ref.name'], 'aether.local/some:dev')
  const bytes = read(`blobs/${top.manifests[0].digest.replace(':', '/')}`)
  t.equal(sha256(bytes), top.manifests[0].digest)
  const index: { manifests: (Descriptor & { platform: object })[] } = JSON.parse(bytes.toString())
  t.strictSame(
    index.manifests.map(({ platform }) => platform),
    [
      { architecture: 'amd64', os: 'linux' },
      { architecture: 'arm64', os: 'linux' },
    ],
  )
  for (const { digest } of index.manifests) t.equal(sha256(read(`blobs/${digest.replace(':', '/')}`)), digest)
  // Two layers, two configurations, two manifests, one index.
  t.equal(readdirSync(join(folder, 'open/blobs/sha256')).length, 7)
})

await test('a cached folder is there complete or not at all', async (t) => {
  const folder = join(t.testdir(), 'cache', 'system-1')
  const fail = cachedFolder(folder, async (empty) => {
    writeFileSync(join(empty, 'half'), '')
    throw new Error('no network')
  })
  await t.rejects(fail, /no network/)
  t.strictSame(readdirSync(join(folder, '..')), [])

  let made = 0
  const make = async (empty: string) => writeFileSync(join(empty, 'whole'), `${(made += 1)}`)
  await cachedFolder(folder, make)
  await cachedFolder(folder, make)
  t.equal(made, 1)
  t.equal(readFileSync(join(folder, 'whole'), 'utf8'), '1')
})

await test('a cached folder of an older key goes, and what else is in the cache stays', async (t) => {
  const cache = t.testdir({ 'system-amd64-old': {}, 'system-amd64-new': {}, 'debian-amd64': {} })
  await removeStale(join(cache, 'system-amd64-new'))
  t.strictSame(readdirSync(cache).toSorted(), ['debian-amd64', 'system-amd64-new'])
})

await test('a machine that images cannot be built on is told what can', async (t) => {
  t.equal(detectMachine('linux', 'arm64').triplet, 'aarch64-linux-gnu')
  t.throws(() => detectMachine('darwin', 'arm64'), /run the build in a Debian container/)
  t.throws(() => detectMachine('linux', 'riscv64'), /this is linux riscv64/)
})

await test('a table has its numbers to the right', async (t) => {
  t.equal(formatTable(['image', 'MB'], [['a', '123']]), 'image   MB\na      123')
})
