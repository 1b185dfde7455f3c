// Artifacts by way of a proxy, as a whole init-fetch: its environment, its resolver, its trust.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, connect, type Server } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { annotations } from '@aether/contract/annotations'
import { formatSelfTarget } from '@aether/contract/control-api'
import { formatPodinfo } from '@aether/contract/podinfo'
import { reasons } from '@aether/contract/reasons'
import { createSigner, digestOf } from '@aether/release/test-kit'
import { release } from '@aether/release/test-tar'
import { startProcess, testFolder } from '@aether/runtime/test-process'
import { type Test, test } from 'tap'

const initFetch = fileURLToPath(new URL('main.ts', import.meta.url))
const bytes = release('from far away')

async function listen(t: Test, server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const address: AddressInfo | string | null = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** A proxy that answers each GET itself, and connects each CONNECT to `port`; `asked` is what it saw. */
async function createProxy(t: Test, port: number, hasRight = () => true) {
  const asked: string[] = []
  const note = ({ method = '', url = '', headers }: IncomingMessage) =>
    asked.push(`${method} ${url} ${headers['proxy-authorization'] ?? headers.authorization ?? 'nothing'}`)
  const proxy = createServer((request, response) => {
    note(request)
    response.writeHead(200, { connection: 'close' }).end(bytes)
  })
  proxy.on('connect', (request, socket) => {
    note(request)
    if (!hasRight()) {
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
      return
    }
    const upstream = connect(port, '127.0.0.1', () => socket.write('HTTP/1.1 200 OK\r\n\r\n'))
    for (const end of [socket, upstream]) end.on('error', () => {})
    upstream.pipe(socket).pipe(upstream)
  })
  return { asked, port: await listen(t, proxy) }
}

function createPod(t: Test) {
  const root = testFolder(t)
  const signer = createSigner()
  const digest = digestOf(bytes)
  let started = 0
  return {
    root,
    async run(url: string, env: Readonly<Record<string, string>>) {
      const all = {
        [annotations.digest]: digest,
        [annotations.artifactUrl]: url,
        [annotations.signature]: signer.sign(digest),
      }
      writeFileSync(join(root, 'annotations'), formatPodinfo(all))
      const agent = startProcess(t, initFetch, {
        AETHER_DATA_DIR: join(root, `data${++started}`),
        AETHER_ANNOTATIONS_FILE: join(root, 'annotations'),
        AETHER_TERMINATION_LOG: join(root, 'termination-log'),
        AETHER_PUBKEY: signer.publicPem,
        ...env,
      })
      return { code: await agent.exited, said: agent.lines.join('\n') }
    },
  }
}

await test('http goes by the proxy, which resolves the name; what NO_PROXY names and a literal address stay checked', async (t) => {
  const pod = createPod(t)
  const proxy = await createProxy(t, 0)
  const env = { http_proxy: `http://me:hunter2@127.0.0.1:${proxy.port}`, NO_PROXY: 'localhost' }
  const far = await pod.run('http://artifacts.invalid/x', env)
  t.equal(far.code, 0, far.said)
  t.same(proxy.asked.splice(0), [`GET http://artifacts.invalid/x Basic ${btoa('me:hunter2')}`])
  for (const host of [`localhost:${proxy.port}`, '169.254.169.254']) {
    const near = await pod.run(`http://${host}/x`, env)
    t.equal(near.code, reasons.download.exitCode)
    t.match(near.said, /^(?!.*hunter2)[^]*address_refused/)
  }
  t.same(proxy.asked, [])
  const wrong = await pod.run('http://artifacts.invalid/x', { HTTP_PROXY: 'ftp://me:hunter2@proxy' })
  t.match(wrong.said, /^(?!.*hunter2)[^]*HTTP_PROXY \(--http-proxy\): write the http\(s\) URL of a proxy/)
})

await test('control is asked without the proxy, so that the token is shown to it alone', async (t) => {
  const pod = createPod(t)
  const proxy = await createProxy(t, 0)
  const seen: (string | undefined)[] = []
  const control = createServer((request, response) => {
    seen.push(request.headers.authorization)
    const self = { digest: digestOf(bytes), artifactUrl: `${url}/x`, signature: null, commit: null }
    response.writeHead(200, { connection: 'close' }).end(request.url === '/x' ? bytes : formatSelfTarget(self))
  })
  const url = `http://127.0.0.1:${await listen(t, control)}`
  writeFileSync(join(pod.root, 'token'), 'secret')
  const { code, said } = await pod.run(`${url}/x`, {
    AETHER_CONTROL_URL: url,
    AETHER_CONTROL_TOKEN_FILE: join(pod.root, 'token'),
    AETHER_REQUIRE_SIGNATURE: 'false',
    HTTP_PROXY: `127.0.0.1:${proxy.port}`,
  })
  t.equal(code, 0, said)
  t.same(seen, ['Bearer secret', 'Bearer secret'])
  t.same(proxy.asked, [])
})

await test('https goes through a tunnel, with a certificate of the authority in NODE_EXTRA_CA_CERTS and no other', async (t) => {
  const pod = createPod(t)
  const [key, cert] = [join(pod.root, 'key.pem'), join(pod.root, 'cert.pem')]
  const name = ['-subj', '/CN=artifacts.invalid', '-addext', 'subjectAltName=DNS:artifacts.invalid']
  const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  execFileSync('openssl', [...made, ...name, '-keyout', key, '-out', cert], { stdio: 'ignore' })
  const server = createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, (_, response) => {
    response.writeHead(200, { connection: 'close' }).end(bytes)
  })
  let hasRight = true
  const proxy = await createProxy(t, await listen(t, server), () => hasRight)
  const env = { HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` }
  const url = 'https://artifacts.invalid/x'
  const trusted = await pod.run(url, { ...env, NODE_EXTRA_CA_CERTS: cert })
  t.equal(trusted.code, 0, trusted.said)
  t.same(proxy.asked, ['CONNECT artifacts.invalid:443 nothing'])
  const stranger = await pod.run(url, env)
  t.equal(stranger.code, reasons.download.exitCode)
  t.match(stranger.said, /unreachable[^]*SELF_SIGNED_CERT/)
  hasRight = false
  const refused = await pod.run(url, { ...env, NODE_EXTRA_CA_CERTS: cert })
  t.equal(refused.code, reasons.download.exitCode)
  t.match(refused.said, /unreachable[^]*Proxy response \(403\)/)
})
