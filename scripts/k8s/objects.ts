// The manifests of k8s/ as objects: what Kustomize and Helm make of them, and ways to look into those.
import { globSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isObject } from '@aether/contract/json'
import { execaSync } from 'execa'
import { parseAllDocuments } from 'yaml'

export const manifests = fileURLToPath(new URL('../../k8s', import.meta.url))

export interface KubernetesObject {
  readonly kind: string
  readonly name: string
  readonly whole: Readonly<Record<string, unknown>>
}

/** Every folder below k8s/ that Kustomize builds. */
export function kustomizations(): readonly string[] {
  return globSync('**/kustomization.yaml', { cwd: manifests })
    .map((path) => dirname(path))
    .toSorted()
}

export function kustomize(folder: string): readonly KubernetesObject[] {
  return parseObjects(execaSync('kubectl', ['kustomize', join(manifests, folder)]).stdout)
}

/** As kubectl reads them: YAML 1.1, in which 0440 is octal. */
export function parseObjects(text: string): readonly KubernetesObject[] {
  return parseAllDocuments(text, { version: '1.1', merge: true }).flatMap((document) => {
    const [fault] = document.errors
    if (fault !== undefined) throw fault
    const whole: unknown = document.toJS()
    if (!isObject(whole)) return []
    const name = at(whole, 'metadata', 'name')
    if (typeof whole.kind !== 'string' || typeof name !== 'string') throw new Error('an object without kind or name')
    return [{ kind: whole.kind, name, whole }]
  })
}

export function isOnPath(program: string, ...args: readonly string[]): boolean {
  return execaSync(program, args, { reject: false }).exitCode === 0
}

export function at(value: unknown, ...path: readonly string[]): unknown {
  let found = value
  for (const name of path) found = isObject(found) ? found[name] : undefined
  return found
}

export function listAt(value: unknown, ...path: readonly string[]): readonly unknown[] {
  const found = at(value, ...path)
  return Array.isArray(found) ? found : []
}

/** The pod that an object makes, and its containers in the order in which they start. */
export function podOf({ whole }: KubernetesObject) {
  const pod = at(whole, 'spec', 'template', 'spec')
  if (!isObject(pod)) return undefined
  const containers = [...listAt(pod, 'initContainers'), ...listAt(pod, 'containers')]
  return { pod, containers, labels: at(whole, 'spec', 'template', 'metadata', 'labels') }
}
