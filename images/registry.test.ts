// Images sent to a real registry, and what can be had from it afterwards.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSigningPair } from '@aether/artifact/sign'
import { type Test, test } from 'tap'
import type { Made } from './build.ts'
import { pullSboms } from './check.ts'
import { debianComponent, nodeComponent, npmComponent } from './components.ts'
import { fileEntry, textEntry, writeLayer } from './layer.ts'
import { type Architecture, packImage } from './oci.ts'
import { pushImages, signatureType } from './push.ts'
import { openRegistry, type Registry, referrersOf } from './registry.ts'
import { formatSbom } from './sbom.ts'
import { signImage } from './signature.ts'
import { freePort } from './test-port.ts'
import { credentials, startRegistry, withRegistry } from './test-registry.ts'

const quiet = () => {}
const bookworm = { id: 'debian', version: '12' }
const libc = debianComponent('Package: libc6\nVersion: 2.36-9+deb12u14\nArchitecture: amd64\nSource: glibc\n', bookworm)

/** Two images for two architectures, with a layer of 3 MB between them. */
async function makeImages(t: Test): Promise<Made[]> {
  const folder = mkdtempSync(join(tmpdir(), 'aether-push-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const bytes = Buffer.alloc(3_000_000, 'Node, for all that matters here. ')
  const base = await writeLayer([fileEntry('node', bytes)], join(folder, 'base.tar.gz'), 0)
  const { privateKey } = createSigningPair()
  const made: Made[] = []
  for (const name of ['one', 'two']) {
    const own = await writeLayer([textEntry(name, name)], join(folder, `${name}.tar.gz`), 0)
    const image = (architecture: Architecture) => ({
      reference: `aether.local/${name}:dev`,
      architecture,
      created: '2026-01-01T00:00:00Z',
      entrypoint: [],
      command: [name],
      env: {},
      user: '65532:65532',
      workingDir: '/',
      annotations: {},
      layers: [base, own],
    })
    const packed = packImage([image('amd64'), image('arm64')])
    const sboms = packed.platforms.map(({ descriptor, architecture }): [string, string] => {
      const subject = {
        reference: packed.reference,
        architecture,
        digest: descriptor.digest,
        created: '2026-01-01T00:00:00Z',
      }
      return [
        descriptor.digest,
        formatSbom(subject, [libc, nodeComponent('26.10.0'), npmComponent('@a/b', '1.0.0', 'MIT')], '1'),
      ]
    })
    const signature = signImage(packed.root.descriptor.digest, privateKey)
    made.push({ line: name === 'two' ? '22' : undefined, packed, file: '', sboms: new Map(sboms), signature })
  }
  return made
}

/** Pulls all that a name leads to, each document and blob held against its digest; answers how many there were. */
async function pullAll(registry: Registry, repository: string, reference: string): Promise<number> {
  const document = await registry.getManifest(repository, reference)
  if (document === undefined) throw new Error(`${repository}:${reference} is not there`)
  const content = JSON.parse(Buffer.from(document.bytes).toString())
  let count = 1
  for (const { digest } of content.manifests ?? []) count += await pullAll(registry, repository, digest)
  for (const blob of content.config === undefined ? [] : [content.config, ...content.layers]) {
    await registry.readBlob(repository, blob)
    count += 1
  }
  return count
}

await test(
  'what was pushed is pulled back under the same digests, with its SBOMs and its signature',
  withRegistry,
  async (t) => {
    const { host } = await startRegistry(t, 'open')
    const made = await makeImages(t)
    const registry = await openRegistry(host, false, { DOCKER_CONFIG: '/nowhere' })
    const pushed = await pushImages(registry, 'team/', made, quiet)

    for (const [index, { packed, sboms, signature }] of made.entries()) {
      const name = index === 0 ? 'one' : 'two'
      t.equal(pushed[index]?.digest, packed.root.descriptor.digest)
      t.equal((await registry.getManifest(`team/${name}`, 'dev'))?.descriptor.digest, packed.root.descriptor.digest)
      // The index, and for each architecture a manifest, a configuration and two layers.
      t.equal(await pullAll(registry, `team/${name}`, 'dev'), 1 + 2 * 4)
      t.strictSame(await referrersOf(registry, `team/${name}`, packed.root.descriptor.digest, signatureType), [
        Buffer.from(`${signature}\n`),
      ])
      for (const { sbom } of await pullSboms(registry, [`team/${name}`], 'dev'))
        t.ok([...sboms.values()].includes(`${JSON.stringify(sbom, undefined, 2)}\n`), 'an SBOM as it was made')
    }
    t.strictSame(
      pushed.map(({ tags }) => tags),
      [['dev'], ['dev', '22-slim']],
    )
    const [first, second] = pushed
    t.ok((first?.sentBytes ?? 0) > 3000, `${first?.sentBytes}`)
    t.ok(
      (second?.knownBytes ?? 0) >= (made[0]?.packed.platforms[0]?.layers[0]?.bytes ?? 0),
      'the second shares the layer of the first',
    )

    const again = await pushImages(registry, 'team/', made, quiet)
    t.strictSame(
      again.map(({ sentBytes }) => sentBytes),
      [0, 0],
      'what is there is not sent again',
    )
    const root = made[0]?.packed.root.descriptor.digest ?? ''
    t.equal((await registry.getReferrers('team/one', root)).length, 1, 'and not listed twice')
  },
)

for (const kind of ['password', 'token'] as const)
  await test(`a registry that wants a ${kind} gets it, and without it is told nothing`, withRegistry, async (t) => {
    const { host, asked } = await startRegistry(t, kind)
    const [made] = await makeImages(t)
    if (made === undefined) throw new Error('no image')
    const folder = t.testdir()
    await t.rejects(
      openRegistry(host, false, { DOCKER_CONFIG: folder }).then((registry) => pushImages(registry, '', [made], quiet)),
      /401|no token/,
    )
    const auth = Buffer.from(credentials).toString('base64')
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ auths: { [host]: { auth } } }))
    const registry = await openRegistry(host, false, { DOCKER_CONFIG: folder })
    const [pushed] = await pushImages(registry, '', [made], quiet)
    t.equal(pushed?.digest, made.packed.root.descriptor.digest)
    t.equal(await pullAll(registry, 'one', 'dev'), 9)
    if (kind === 'token') t.ok(asked.includes('repository:one:pull,push'), asked.join(' '))
  })

await test(
  'a layer that has gone meanwhile is named, and a registry that is not there too',
  withRegistry,
  async (t) => {
    const { host } = await startRegistry(t, 'open')
    const registry = await openRegistry(host, false, { DOCKER_CONFIG: '/nowhere' })
    const gone = { size: 5, from: join(t.testdir(), 'gone') }
    await t.rejects(registry.putBlob('one', `sha256:${'1'.repeat(64)}`, gone), /PUT http.*uploads.*ENOENT.*gone/)
    const nobody = await openRegistry(`127.0.0.1:${await freePort()}`, false, { DOCKER_CONFIG: '/nowhere' })
    await t.rejects(nobody.getManifest('one', 'dev'), /GET http.*ECONNREFUSED/)
  },
)

await test('bytes that are not what their digest says are not taken from a registry', async (t) => {
  const server = createServer((_, response) => response.end('something else'))
  const port = await freePort()
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const registry = await openRegistry(`127.0.0.1:${port}`, false, { DOCKER_CONFIG: '/nowhere' })
  const digest = `sha256:${'0'.repeat(64)}`
  await t.rejects(registry.readBlob('one', { mediaType: '', digest, size: 14 }), /gave sha256:\w+ as the blob/)
  await t.rejects(registry.readBlob('one', { mediaType: '', digest, size: 13 }), /more than 13 bytes/)
  await t.rejects(registry.getManifest('one', digest), /gave sha256:\w+ as one@/)
})

await test('a token is not fetched in clear for a registry that is spoken to by HTTPS', async (t) => {
  const { createAuthorizer } = await import('./registry-auth.ts')
  const authorizer = createAuthorizer(new URL('https://registry.example'), 'c2VjcmV0')
  await t.rejects(authorizer.answer('Bearer realm="http://elsewhere.example/token",service="x"', 's'), /not https/)
  t.equal(await authorizer.answer('Negotiate', 's'), false)
  t.equal(authorizer.header('s'), undefined)
})
