// The tools pod as Kubernetes objects: it may change the annotations of pods in its own namespace, and nothing else.
import { readdirSync, readFileSync } from 'node:fs'
import { restrictedContainer, restrictedPod } from './restricted.ts'

export const toolsPort = 8080

const folder = new URL('tools/', import.meta.url)
const labels = { app: 'tools' }
const named = { name: 'tools', labels }

export function toolsObjects(image: string): readonly object[] {
  const data = Object.fromEntries(
    readdirSync(folder).map((name) => [name, readFileSync(new URL(name, folder), 'utf8')]),
  )
  return [
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: named, data },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: named },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      metadata: named,
      rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get', 'patch'] }],
    },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: named,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'tools' },
      subjects: [{ kind: 'ServiceAccount', name: 'tools' }],
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: named,
      spec: { selector: labels, ports: [{ port: toolsPort, targetPort: toolsPort }] },
    },
    { apiVersion: 'v1', kind: 'Pod', metadata: named, spec: podSpec(image) },
  ]
}

function podSpec(image: string): object {
  return {
    serviceAccountName: 'tools',
    enableServiceLinks: false,
    terminationGracePeriodSeconds: 2,
    securityContext: restrictedPod,
    containers: [
      {
        name: 'tools',
        image,
        command: ['/usr/local/bin/node', '/tools/server.ts'],
        ports: [{ containerPort: toolsPort }],
        readinessProbe: { httpGet: { path: '/healthz', port: toolsPort }, periodSeconds: 1 },
        volumeMounts: [{ name: 'tools', mountPath: '/tools', readOnly: true }],
        securityContext: restrictedContainer,
      },
    ],
    volumes: [{ name: 'tools', configMap: { name: 'tools' } }],
  }
}
