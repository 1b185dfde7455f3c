// The disk of k8s/control, made ready before control. The provisioner of a test cluster may give a folder of root's, for
// which Kubernetes heeds no fsGroup (hostPath volumes): a pod of root's opens it, for which the namespace lowers its
// policy for a moment.
import type { Scenario } from './scenario.ts'

export const claimName = 'aether-control-data'
const policy = 'pod-security.kubernetes.io/enforce'
const named = { metadata: { name: 'open-disk' } }

export async function openDisk({ cluster, config, namespace }: Scenario): Promise<void> {
  const own = ['--namespace', namespace]
  const claim = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: claimName },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '20Gi' } } },
  }
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    ...named,
    spec: {
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      securityContext: { runAsUser: 0, runAsGroup: 0 },
      containers: [
        {
          name: 'open',
          image: config.nodejsImage,
          command: ['/usr/local/bin/node', '-e', "fs.chmodSync('/data', 0o777)"],
          volumeMounts: [{ name: 'data', mountPath: '/data' }],
        },
      ],
      volumes: [{ name: 'data', persistentVolumeClaim: { claimName } }],
    },
  }
  const list = { apiVersion: 'v1', kind: 'List', items: [claim, pod] }
  await cluster.kubectl(['label', 'namespace', namespace, `${policy}=baseline`, '--overwrite'])
  try {
    await cluster.kubectl(['apply', ...own, '-f', '-'], JSON.stringify(list))
    const isDone = '--for=jsonpath={.status.phase}=Succeeded'
    await cluster.kubectl(['wait', ...own, isDone, `pod/${named.metadata.name}`, '--timeout=55s'])
    await cluster.kubectl(['delete', ...own, 'pod', named.metadata.name])
  } finally {
    await cluster.kubectl(['label', 'namespace', namespace, `${policy}=restricted`, '--overwrite'])
  }
}
