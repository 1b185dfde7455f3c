// What the API server answers to requests with the token that lies in a pod's fetcher, asked from where it lies.
import { isObject } from '@aether/contract/json'
import { runInside } from './pods.ts'
import type { Scenario } from './scenario.ts'

export interface TokenRequest {
  readonly method: string
  readonly path: string
  readonly body?: object
}

export interface TokenAnswer {
  readonly status: number
  /** In the words of a Status object; empty where it is none. */
  readonly message: string
}

const credentials = '/var/run/secrets/kubernetes.io/serviceaccount'

export async function askWithToken(
  scenario: Scenario,
  pod: string,
  requests: readonly TokenRequest[],
): Promise<readonly TokenAnswer[]> {
  const script = `
import { request } from 'node:https'
const read = (name) => fs.readFileSync('${credentials}/' + name, 'utf8').trim()
const answers = []
for (const { method, path, body } of ${JSON.stringify(requests)}) answers.push(await new Promise((resolve, reject) => {
  const type = method === 'PATCH' ? 'application/strategic-merge-patch+json' : 'application/json'
  const sent = request({
    host: process.env.KUBERNETES_SERVICE_HOST, port: process.env.KUBERNETES_SERVICE_PORT, path, method,
    ca: read('ca.crt'), agent: false, headers: { authorization: 'Bearer ' + read('token'), 'content-type': type },
  }, async (response) => {
    let text = ''
    for await (const piece of response.setEncoding('utf8')) text += piece
    let message = ''
    try { message = JSON.parse(text).message ?? '' } catch { message = text.slice(0, 300) }
    resolve({ status: response.statusCode, message })
  })
  sent.on('error', reject)
  sent.end(body === undefined ? undefined : JSON.stringify(body))
}))
console.log(JSON.stringify(answers))`
  const answers: unknown = JSON.parse(await runInside(scenario, pod, 'fetcher', script))
  if (!Array.isArray(answers) || answers.length !== requests.length) throw new Error(`no answers from ${pod}`)
  return answers.filter(isObject).map(({ status, message }) => ({ status: Number(status), message: String(message) }))
}

/** The claims of the token; nothing of its signature. */
export async function readClaims(scenario: Scenario, pod: string): Promise<Readonly<Record<string, unknown>>> {
  const script = `console.log(Buffer.from(fs.readFileSync('${credentials}/token', 'utf8').split('.')[1], 'base64url').toString())`
  const claims: unknown = JSON.parse(await runInside(scenario, pod, 'fetcher', script))
  if (!isObject(claims)) throw new Error(`the token of ${pod} has no claims`)
  return claims
}
