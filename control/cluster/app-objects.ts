// The objects of an app, in the shape of k8s/base. No target is among them: it has an owner of its own (names.ts).
import { annotations } from '@aether/contract/annotations'
import type { V1Deployment, V1ObjectMeta, V1RoleBinding, V1Service, V1ServiceAccount } from '@kubernetes/client-node'
import type { DeploymentSpec } from '../domain/model.ts'
import {
  appLabel,
  bindingName,
  controlManager,
  environmentLabel,
  followRole,
  managerLabel,
  type Resource,
} from './names.ts'
import { type PodOptions, podSpec } from './pod-spec.ts'

interface Metadata {
  readonly name: string
  readonly namespace: string
  readonly labels: Readonly<Record<string, string>>
}

export interface AppObject {
  readonly resource: Resource
  readonly name: string
  readonly body: { readonly metadata: Metadata }
}

/** What the Deployment needs, in the order in which it is made. Mode `file` asks nothing of the API server. */
export function companionsOf(spec: DeploymentSpec, options: PodOptions): readonly AppObject[] {
  const { app } = spec
  const account = {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: metadataOf(spec, app),
    automountServiceAccountToken: false,
  } satisfies V1ServiceAccount
  const binding = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: metadataOf(spec, bindingName(app)),
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: followRole },
    subjects: [{ kind: 'ServiceAccount', name: app, namespace: spec.namespace }],
  } satisfies V1RoleBinding
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadataOf(spec, app),
    spec: { selector: { [appLabel]: app }, ports: [{ name: 'http', port: 80, protocol: 'TCP', targetPort: 'http' }] },
  } satisfies V1Service
  return [
    { resource: 'serviceAccounts', name: app, body: account },
    ...(options.fetchMode === 'file'
      ? []
      : [{ resource: 'roleBindings', name: binding.metadata.name, body: binding } as const]),
    { resource: 'services', name: app, body: service },
  ]
}

/** `isPaused` keeps Kubernetes from making pods of it. */
export function deploymentOf(spec: DeploymentSpec, options: PodOptions, isPaused: boolean) {
  const { app, devHot } = spec
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: metadataOf(spec, app),
    spec: {
      replicas: spec.replicas,
      ...(isPaused ? { paused: true } : {}),
      selector: { matchLabels: { [appLabel]: app } },
      template: {
        metadata: { labels: labelsOf(spec), annotations: { [annotations.devHot]: String(devHot) } },
        spec: podSpec(spec, options),
      },
    },
  } satisfies V1Deployment
}

function metadataOf(spec: DeploymentSpec, name: string) {
  return { name, namespace: spec.namespace, labels: labelsOf(spec) } satisfies V1ObjectMeta
}

function labelsOf({ app, environment }: DeploymentSpec): Record<string, string> {
  return { app, [appLabel]: app, [environmentLabel]: environment, [managerLabel]: controlManager }
}
