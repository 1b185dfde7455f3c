// For tests: Debian's docker-registry on loopback, open to all, with a password, or with tokens of a server of its own.
import { spawnSync } from 'node:child_process'
import { randomUUID, sign, X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'
import type { Test } from 'tap'
import { freePort } from './test-port.ts'

export const credentials = 'tester:a-password-for-this-test'
// Of that password, by bcrypt with the least cost.
const passwords = 'tester:$2b$04$8RsatgXBl3OGKpI3EVZhj.GhgWLw9dGmun1ZR1yN5HHTL6qnGNEZK\n'

/** For `test`: skips it where there is no registry to run. */
export const withRegistry =
  spawnSync('docker-registry', ['--version']).status === 0
    ? {}
    : { skip: 'docker-registry is not on PATH: apt-get install docker-registry' }

export type Kind = 'open' | 'password' | 'token'

/** Its host; `asked` are the scopes that tokens were given for. */
export async function startRegistry(t: Test, kind: Kind): Promise<{ readonly host: string; readonly asked: string[] }> {
  const folder = mkdtempSync(join(tmpdir(), 'aether-registry-'))
  const port = await freePort()
  const asked: string[] = []
  writeFileSync(join(folder, 'passwords'), passwords)
  const auth = {
    open: undefined,
    password: { htpasswd: { realm: 'test', path: join(folder, 'passwords') } },
    token: kind === 'token' ? await tokenServer(t, folder, asked) : undefined,
  }[kind]
  const config = {
    version: '0.1',
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(folder, 'storage') } },
    http: { addr: `127.0.0.1:${port}` },
    ...(auth !== undefined && { auth }),
  }
  writeFileSync(join(folder, 'config.yml'), JSON.stringify(config)) // JSON is YAML
  const server = execa('docker-registry', ['serve', join(folder, 'config.yml')], { reject: false, all: true })
  t.teardown(async () => {
    server.kill('SIGKILL')
    await server
    rmSync(folder, { recursive: true })
  })
  const isUp = () =>
    fetch(`http://127.0.0.1:${port}/v2/`).then(
      (answer) => answer.status > 0,
      () => false,
    )
  while (!(await isUp())) {
    if (server.nodeChildProcess.exitCode !== null) throw new Error(`docker-registry ended: ${(await server).all}`)
    await sleep(20)
  }
  return { host: `127.0.0.1:${port}`, asked }
}

/** Gives a token for whatever is asked, to whoever knows the password: the settings of a registry that believes in it. */
async function tokenServer(t: Test, folder: string, asked: string[]) {
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')]
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  await execa('openssl', ['req', '-x509', ...curve, '-subj', '/CN=test', '-keyout', key, '-out', certificate])
  const chain = [new X509Certificate(readFileSync(certificate)).raw.toString('base64')]
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const server = createServer((request, response) => {
    if (request.headers.authorization !== `Basic ${Buffer.from(credentials).toString('base64')}`) {
      response.writeHead(401).end()
      return
    }
    const { searchParams } = new URL(request.url ?? '', 'http://token')
    const scope = searchParams.get('scope') ?? ''
    asked.push(scope)
    const [type = '', name = '', actions = ''] = scope.split(':')
    const now = Math.floor(Date.now() / 1000)
    const claims = {
      iss: 'test',
      sub: 'tester',
      aud: 'registry',
      exp: now + 300,
      nbf: now - 10,
      iat: now,
      jti: randomUUID(),
    }
    const head = encode({ typ: 'JWT', alg: 'ES256', x5c: chain })
    const text = `${head}.${encode({ ...claims, access: [{ type, name, actions: actions.split(',') }] })}`
    const signed = sign('sha256', Buffer.from(text), { key: readFileSync(key), dsaEncoding: 'ieee-p1363' })
    response.end(JSON.stringify({ token: `${text}.${signed.toString('base64url')}` }))
  })
  const port = await freePort()
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return {
    token: {
      realm: `http://127.0.0.1:${port}/token`,
      service: 'registry',
      issuer: 'test',
      rootcertbundle: certificate,
    },
  }
}
