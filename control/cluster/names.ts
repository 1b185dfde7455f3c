// Names that control writes into a cluster, and where things are asked for.

export const appLabel = 'aether.dev/app'
export const environmentLabel = 'aether.dev/environment'
export const managerLabel = 'app.kubernetes.io/managed-by'

/** Owner of what `apply` writes. */
export const controlManager = 'aether-control'
/** Owner of the target alone, so that an apply never takes it back or writes an older one over it. */
export const targetManager = 'aether-target'

/** Lets the pods of its namespace follow their annotations (k8s/rbac); made by the namespace's owner. */
export const followRole = 'aether-dev-hot'

export function bindingName(app: string): string {
  return `${app}-aether-dev-hot`
}

export const resources = {
  deployments: 'apis/apps/v1/*/deployments',
  replicaSets: 'apis/apps/v1/*/replicasets',
  pods: 'api/v1/*/pods',
  services: 'api/v1/*/services',
  serviceAccounts: 'api/v1/*/serviceaccounts',
  roleBindings: 'apis/rbac.authorization.k8s.io/v1/*/rolebindings',
} as const
export type Resource = keyof typeof resources

/** The collection, in one namespace or in all. */
export function collectionPath(resource: Resource, namespace: string | null): string {
  const scope = namespace === null ? '' : `namespaces/${encodeURIComponent(namespace)}/`
  return `/${resources[resource].replace('*/', scope)}`
}

export function objectPath(resource: Resource, namespace: string, name: string): string {
  return `${collectionPath(resource, namespace)}/${encodeURIComponent(name)}`
}
