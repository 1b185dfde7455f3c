// The images of dist/images as they are: each command of each architecture, apps on each line of Node, and the digests of a
// second build in another folder.
import { createHash } from 'node:crypto'
import {
  chownSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { packFolder } from '@aether/artifact/pack'
import { createSigningPair, signDigest } from '@aether/artifact/sign'
import { formatActivation } from '@aether/contract/activation'
import { digestFromHex, hexOf } from '@aether/contract/digest'
import { currentLinkTarget, releaseName } from '@aether/contract/layout'
import { execa } from 'execa'
import { test } from 'tap'
import { root } from './bundles.ts'
import { user } from './rootfs.ts'
import { folder, here, openArchive, openImages, startIn, withArchitecture, withImages } from './test-image.ts'
import { freePort } from './test-port.ts'

const options = withImages()
const prefix = 'org.opencontainers.image'

const appAnswering = (letter: string) => `
process.on('SIGTERM', () => process.exit(0))
require('node:http').createServer((_, response) => response.end('${letter} ' + process.version)).listen(process.env.PORT)
`

const each = (['amd64', 'arm64'] as const).map((architecture) => ({
  architecture,
  how: architecture === here ? 'natively' : 'under qemu',
  options: withArchitecture(architecture),
}))

for (const { architecture, how, options: ofArchitecture } of each)
  await test(`every command of the ${architecture} images starts ${how}, and verifies`, ofArchitecture, async (t) => {
    for (const image of openImages(t, /^aether-(agent|nodejs|nodejs-\d+|control)\.tar$/, architecture)) {
      for (const command of readdirSync(join(image.path, 'aether/bin'))) {
        const { exitCode, all } = await startIn(image, command, ['--help'])
        t.equal(exitCode, 0, `${image.name}: ${command} --help: ${all.slice(0, 300)}`)
        t.match(all, new RegExp(command))
      }
    }
    for (const image of openImages(t, /^aether-agent\.tar$/, architecture)) {
      const { privateKey, publicPem } = createSigningPair()
      const digest = digestFromHex(createHash('sha256').update('some bytes').digest('hex'))
      const verify = (signature: string) =>
        startIn(image, 'ed25519-verify', [signature], { AETHER_PUBKEY: publicPem }, hexOf(digest))
      t.match(await verify(signDigest(digest, privateKey)), { exitCode: 0, stdout: /^valid under key/ })
      t.match(await verify('00'.repeat(64)), { exitCode: 1 })
    }
  })

for (const { architecture, how, options: ofArchitecture } of each)
  await test(
    `init-fetch of the ${architecture} image fetches, verifies and unpacks a release ${how}`,
    ofArchitecture,
    async (t) => {
      for (const image of openImages(t, /^aether-agent\.tar$/, architecture)) {
        const app = t.testdir({ 'package.json': '{"name":"hello"}', 'server.js': 'console.log("here")\n' })
        const { file, digest } = await packFolder(app, join(tmpdir(), `aether-built-${process.pid}.tar.gz`))
        t.teardown(() => rmSync(file))
        const server = createServer((_, response) => response.end(readFileSync(file)))
        const port = await freePort()
        await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
        t.teardown(() => server.close())
        const { privateKey, publicPem } = createSigningPair()
        const annotations = {
          'aether.dev/digest': digest,
          'aether.dev/artifact-url': `http://127.0.0.1:${port}/hello.tar.gz`,
          'aether.dev/signature': signDigest(digest, privateKey),
        }
        mkdirSync(join(image.path, 'etc/podinfo'))
        const lines = Object.entries(annotations).map(([name, value]) => `${name}=${JSON.stringify(value)}\n`)
        writeFileSync(join(image.path, 'etc/podinfo/annotations'), lines.join(''))
        const env = { AETHER_PUBKEY: publicPem, AETHER_ARTIFACT_ADDRESSES: 'any' }
        const { exitCode, all } = await startIn(image, 'init-fetch', [], env)
        t.equal(exitCode, 0, all)
        t.match(all, 'is active')
        const current = join(image.path, 'var/lib/aether/workspace', currentLinkTarget(digest))
        t.equal(readFileSync(join(current, 'server.js'), 'utf8'), 'console.log("here")\n')
        t.equal(statSync(current).uid, user)
      }
    },
  )

await test('an app goes from release to release on every line of Node that was built', options, async (t) => {
  const images = openImages(t, /^aether-nodejs(-\d+)?\.tar$/, here)
  t.ok(images.length > 0)
  for (const image of images) {
    const workspace = join(image.path, 'workspace')
    const release = (letter: string, id: number) => {
      const digest = digestFromHex(letter.repeat(64))
      const into = join(workspace, 'releases', releaseName(digest))
      mkdirSync(into, { recursive: true })
      writeFileSync(join(into, 'server.js'), appAnswering(letter))
      const record = { id, digest, previous: null, at: new Date(0).toISOString(), commit: null, repaired: false }
      writeFileSync(join(workspace, 'activation.json.new'), formatActivation(record))
      renameSync(join(workspace, 'activation.json.new'), join(workspace, 'activation.json'))
      symlinkSync(currentLinkTarget(digest), join(workspace, 'next'))
      renameSync(join(workspace, 'next'), join(workspace, 'current'))
    }
    mkdirSync(join(workspace, 'releases'), { recursive: true })
    chownSync(workspace, user, user)
    release('a', 1)
    const [port, health] = [await freePort(), await freePort()]
    const env = {
      PATH: '/usr/local/bin',
      PORT: `${port}`,
      AETHER_HEALTH_PORT: `${health}`,
      AETHER_HEALTH_HOST: '127.0.0.1',
      AETHER_DRAIN_MAX_MS: '0',
      AETHER_SUPERVISOR_GRACE_SEC: '1',
    }
    const supervisor = startIn(image, 'supervisor', [], env)
    t.teardown(() => supervisor.kill('SIGKILL'))
    const answers = async (wanted: string) => {
      for (let tries = 0; tries < 600; tries++) {
        const said = await fetch(`http://127.0.0.1:${port}/`).then(
          (one) => one.text(),
          () => '',
        )
        if (said.startsWith(wanted)) return said
        if (supervisor.nodeChildProcess.exitCode !== null) break
        await sleep(50)
      }
      throw new Error(
        `${image.name} does not answer as release ${wanted}: ${(supervisor.kill('SIGKILL'), (await supervisor).all)}`,
      )
    }
    const said = await answers('a')
    release('b', 2)
    t.equal((await answers('b')).slice(1), said.slice(1), 'on the same Node')
    t.match(said, image.name === 'aether-nodejs' ? /^a v26\./ : new RegExp(`^a v${image.name.split('-').at(-1)}\\.`))
    supervisor.kill('SIGTERM')
    const { exitCode, all } = await supervisor
    t.equal(exitCode, 0, all)
  }
})

await test('no image is heavier than 50 MB, and what is in that of the agents besides Node than 3', options, (t) => {
  for (const architecture of ['amd64', 'arm64'] as const)
    for (const file of readdirSync(folder).filter((name) => name.endsWith('.tar'))) {
      const image = openArchive(t, join(folder, file), architecture)
      if (image === undefined) continue
      const sizes = image.manifest.layers.map(({ size }) => size)
      const all = sizes.reduce((sum, size) => sum + size, 0)
      t.ok(all <= 50e6, `${file} for ${architecture}: ${sizes.join(' + ')} bytes`)
      // Node is the heaviest layer by far.
      if (file === 'aether-agent.tar') t.ok(all - Math.max(...sizes) <= 3e6, `${all - Math.max(...sizes)} without Node`)
    }
  t.end()
})

await test('every link in an image leads to a file of it', options, async (t) => {
  for (const { name, path } of openImages(t, /^aether-(agent|nodejs|control|postgres)\.tar$/, here)) {
    const { stdout } = await execa('find', [path, '-xtype', 'l'])
    t.equal(stdout, '', name)
    if (name !== 'aether-postgres')
      for (const license of ['doc/libstdc++6/copyright', 'common-licenses/GPL', 'common-licenses/LGPL'])
        t.ok(statSync(join(path, 'usr/share', license)).size > 1000, `${name}: ${license}`)
  }
})

/** By hard links where both are on one disk. */
async function copy(from: string, to: string): Promise<void> {
  const { exitCode } = await execa('cp', ['-al', from, to], { reject: false })
  if (exitCode === 0) return
  rmSync(to, { recursive: true, force: true })
  await execa('cp', ['-a', from, to])
}

await test('a clone in another folder builds the same images to the last bit', options, async (t) => {
  const source = openArchive(t, join(folder, 'aether-agent.tar'), here)?.manifest.annotations[`${prefix}.source`]
  const clone = mkdtempSync(join(tmpdir(), 'aether-clone-'))
  t.teardown(() => rmSync(clone, { recursive: true }))
  await execa('git', ['clone', '-q', root, clone])
  for (const at of globSync('{.,*,agents/*,examples/*}/node_modules', { cwd: root }))
    await copy(join(root, at), join(clone, at))
  // The same packages of Debian: other versions would be other inputs. Nothing that was made of them.
  mkdirSync(join(clone, 'dist/cache'), { recursive: true })
  const cached = readdirSync(join(root, 'dist/cache'))
  for (const name of cached.filter((one) => one === `debian-${here}`))
    await copy(join(root, 'dist/cache', name), join(clone, 'dist/cache', name))
  const command = [process.execPath, 'images/main.ts', ...(source === undefined ? [] : ['--source', source])]
  await execa('env', ['-i', `PATH=${process.env['PATH']}`, ...command], { cwd: clone })
  for (const name of ['aether-agent', 'aether-nodejs', 'aether-control']) {
    const [first, second] = [folder, join(clone, 'dist/images')].map((from) =>
      openArchive(t, join(from, `${name}.tar`), here),
    )
    t.equal(
      first?.manifest.annotations[`${prefix}.revision`],
      second?.manifest.annotations[`${prefix}.revision`],
      'dist/images is of the last commit; else commit, and build again',
    )
    t.ok(first)
    t.equal(second?.digest, first?.digest, `${name} ${first?.digest}`)
  }
})
