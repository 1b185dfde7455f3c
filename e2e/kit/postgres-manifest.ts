// PostgreSQL for control, as Kubernetes objects: the image of `npm run images -- --e2e`, one pod, its data gone with it.
// What ends its first process (`kubectl exec ... -- sh -c 'kill -INT 1'`) restarts the container on the same data.
import { restrictedContainer, restrictedPod } from './restricted.ts'

export const postgresName = 'aether-postgres'

const labels = { app: postgresName }
const named = { name: postgresName, labels }

export function postgresObjects(image: string, password: string): readonly object[] {
  return [
    { apiVersion: 'v1', kind: 'Secret', metadata: named, stringData: { password } },
    { apiVersion: 'v1', kind: 'Service', metadata: named, spec: { selector: labels, ports: [{ port: 5432 }] } },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: named,
      spec: {
        strategy: { type: 'Recreate' },
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: podSpec(image) },
      },
    },
  ]
}

function podSpec(image: string): object {
  const folders = [
    { name: 'data', mountPath: '/var/lib/postgresql', volume: {} },
    { name: 'socket', mountPath: '/run/postgresql', volume: { medium: 'Memory', sizeLimit: '1Mi' } },
    { name: 'tmp', mountPath: '/tmp', volume: { sizeLimit: '16Mi' } },
  ]
  return {
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: 10,
    securityContext: restrictedPod,
    containers: [
      {
        name: 'postgres',
        image,
        env: [{ name: 'POSTGRES_PASSWORD', valueFrom: { secretKeyRef: { name: postgresName, key: 'password' } } }],
        ports: [{ containerPort: 5432 }],
        readinessProbe: { exec: { command: ['pg_isready', '-q', '-h', '127.0.0.1'] }, periodSeconds: 1 },
        volumeMounts: folders.map(({ name, mountPath }) => ({ name, mountPath })),
        resources: { requests: { cpu: '50m', memory: '64Mi' }, limits: { memory: '256Mi' } },
        securityContext: restrictedContainer,
      },
    ],
    volumes: folders.map(({ name, volume }) => ({ name, emptyDir: volume })),
  }
}
