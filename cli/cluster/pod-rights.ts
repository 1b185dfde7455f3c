// What `aether dev --pods` may do, asked before anything is done, and the Role that gives what is missing.
import { isObject } from '@aether/contract/json'
import { Failure } from '../basics/failure.ts'
import type { KubeApi } from './kube-api.ts'

const needed = [
  { verb: 'list', resource: 'pods' },
  { verb: 'watch', resource: 'pods' },
  { verb: 'patch', resource: 'pods' },
  { verb: 'create', resource: 'pods', subresource: 'exec' },
] as const

/** As k8s/overlays/dev-pods has it; `get` of logs is for the window, and not needed. */
const role = (namespace: string) => `apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: aether-developer, namespace: ${namespace} }
rules:
  - { apiGroups: [""], resources: [pods], verbs: [get, list, watch, patch] }
  - { apiGroups: [""], resources: [pods/exec], verbs: [create] }
  - { apiGroups: [""], resources: [pods/log], verbs: [get] }`

export async function refuseMissingRights(api: KubeApi, namespace: string): Promise<void> {
  const answers = await Promise.all(needed.map((one) => mayDo(api, namespace, one)))
  const missing = needed.filter((_, at) => answers[at] === false)
  if (missing.length === 0) return
  const words = missing.map((one) => `${one.verb} ${'subresource' in one ? 'pods/exec' : 'pods'}`)
  throw new Failure('failed', `you may not ${words.join(', ')} in namespace ${namespace}`, {
    code: '403',
    detail: role(namespace).split('\n'),
    next: `have this Role bound to you: kubectl -n ${namespace} create rolebinding aether-developer --role=aether-developer --user=YOU`,
  })
}

/** Undefined where the API server does not say. */
async function mayDo(api: KubeApi, namespace: string, attributes: object): Promise<boolean | undefined> {
  const review = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes: { namespace, ...attributes } },
  }
  try {
    const answer = await api.ask('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', review)
    const status = isObject(answer) ? answer.status : undefined
    return isObject(status) && typeof status.allowed === 'boolean' ? status.allowed : undefined
  } catch (error) {
    if (error instanceof Failure && error.kind === 'failed') return undefined
    throw error
  }
}
