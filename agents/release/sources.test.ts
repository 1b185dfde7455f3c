// Which servers are asked: by address, by origin, and at each redirect again.
import { createConfigReader } from '@aether/runtime/config'
import { test } from 'tap'
import { reachOf } from './addresses.ts'
import { readControlSettings, readRefreshOptions } from './options.ts'
import { parseOrigins, type SourcePolicy } from './origins.ts'
import { createArtifactServer, createWorld, digestOf, refuses } from './test-kit.ts'
import { release } from './test-tar.ts'

const words = (text: string) => text.trim().split(/\s+/)
const preset: SourcePolicy = { origins: new Set(), controlOrigin: undefined, addresses: 'private', proxies: undefined }

await test('an address is what it reaches, in whatever form it is written', async (t) => {
  const guarded = words(`
    127.0.0.1 127.255.255.254 0.0.0.0 0.1.2.3 169.254.169.254 169.254.0.1 100.100.100.200 168.63.129.16
    192.0.0.192 224.0.0.1 239.1.2.3 255.255.255.255 240.0.0.1 :: ::1 fe80::1 fe80::1%eth0 febf::1 ff02::1
    fd00:ec2::254 64:ff9b:1::a00:1 ::ffff:127.0.0.1 ::ffff:7f00:1 ::ffff:169.254.169.254
    0:0:0:0:0:ffff:a9fe:a9fe ::127.0.0.1 ::ffff:0:127.0.0.1 64:ff9b::127.0.0.1 2002:7f00:1::
    2002:a9fe:a9fe::1 2001:0:1:2:3:4:80ff:fffe`)
  for (const address of guarded) t.equal(reachOf(address), 'guarded', address)
  const inside = words(`
    10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 100.127.255.255 198.18.0.1
    fc00::1 fd12:3456::1 fec0::1 ::ffff:10.0.0.1 64:ff9b::10.0.0.1 2002:a00:1::1`)
  for (const address of inside) t.equal(reachOf(address), 'private', address)
  const outside = words(`
    1.1.1.1 9.255.255.255 11.0.0.0 126.255.255.255 128.0.0.0 169.253.255.255 169.255.0.0 172.15.255.255
    172.32.0.0 192.167.255.255 192.169.0.0 100.63.255.255 100.128.0.0 223.255.255.255 2606:4700::1111
    ::ffff:1.1.1.1 64:ff9b::1.1.1.1 2002:101:101::1 fbff::1 2a00:1:2:3:4:5:6:7`)
  for (const address of outside) t.equal(reachOf(address), 'public', address)
})

await test('unless allowed, loopback, link-local and metadata are not asked, by whatever name', async (t) => {
  const world = await createWorld(t)
  const bytes = release('inside')
  world.routes.set('/x', bytes)
  const { port } = new URL(world.url(''))
  const hosts = ['127.0.0.1', '127.1', '2130706433', '0x7f.1', '017700000001', '0', '[::ffff:127.0.0.1]', '[::1]']
  for (const host of [...hosts, '[::ffff:7f00:1]', 'localhost', 'LOCALHOST', '169.254.169.254', '[fd00:ec2::254]']) {
    const target = world.ask(digestOf(bytes), `http://${host}:${port}/x?token=secret`)
    const take = () => world.take(target, undefined, { sources: preset })
    await refuses(t, world, take, 'download', 'address_refused', /^(?!.*secret).*AETHER_ARTIFACT_ORIGINS/)
  }
  const take = (url: string) => () =>
    world.take(world.ask(digestOf(bytes), url), undefined, { sources: { ...preset, addresses: 'public' } })
  for (const host of ['10.1.2.3', '192.168.0.1', '[fd00::1]', '[::ffff:10.1.2.3]'])
    await refuses(
      t,
      world,
      take(`http://${host}/x`),
      'download',
      'address_refused',
      /AETHER_ARTIFACT_ADDRESSES=private/,
    )
  t.same(world.asked, [], 'no server was asked')
})

await test('control and a listed origin are asked at any address, and a redirect from them is not trusted for it', async (t) => {
  const world = await createWorld(t)
  const elsewhere = await createArtifactServer(t)
  const [one, two] = [release('one'), release('two')]
  world.routes.set('/one', one)
  world.routes.set('/two', two)
  const origin = world.url('')
  const control = { sources: { ...preset, controlOrigin: origin } }
  const listed = { sources: { ...preset, origins: new Set([origin]) } }
  t.match(await world.take(world.ask(digestOf(one), '/one'), undefined, control), { reused: false })
  t.match(await world.take(world.ask(digestOf(two), '/two'), undefined, listed), { reused: false })

  const digest = digestOf(release('three'))
  const other = elsewhere.url('/three')
  world.routes.set('/away', (_, response) => response.writeHead(302, { location: `${other}?token=secret` }).end())
  const away = (more: { sources: SourcePolicy }) => () => world.take(world.ask(digest, '/away'), undefined, more)
  await refuses(t, world, away(control), 'download', 'address_refused', /127\.0\.0\.1/)
  await refuses(t, world, away(listed), 'download', 'origin_refused', /^(?!.*secret).*add http:\/\/127\.0\.0\.1:\d+ to/)
  const straight = () => world.take(world.ask(digest, other), undefined, listed)
  await refuses(t, world, straight, 'download', 'origin_refused', /AETHER_ARTIFACT_ORIGINS/)
  t.same(elsewhere.asked, [])

  const both = { sources: { ...preset, controlOrigin: origin, origins: new Set([new URL(other).origin]) } }
  elsewhere.routes.set('/three', release('three'))
  t.match(
    await world.take(world.ask(digest, '/away'), undefined, both),
    { reused: false },
    'from control to a listed one',
  )
})

await test('origins are parsed as URLs are, and anything more than an origin is refused', async (t) => {
  t.same(
    [...parseOrigins('https://A.example, http://10.0.0.7:80/ http://127.1:8080,')],
    ['https://a.example', 'http://10.0.0.7', 'http://127.0.0.1:8080'],
  )
  for (const text of ['a.example', 'ftp://a.example', 'https://a.example/x', 'https://me:pw@a.example', 'https://*/?x'])
    t.throws(() => parseOrigins(text), /write origins/, text)

  const env = { AETHER_ARTIFACT_ORIGINS: 'https://a.example', AETHER_CONTROL_URL: 'http://control.example/below' }
  const read = createConfigReader('test', 'reads.', [], env)
  t.same((await readRefreshOptions(read, readControlSettings(read))).sources, {
    origins: new Set(['https://a.example']),
    controlOrigin: 'http://control.example',
    addresses: 'private',
    proxies: undefined,
  })
})
