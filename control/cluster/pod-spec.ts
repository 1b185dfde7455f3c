// The pod of an app: init-fetch brings the first release, the fetcher follows, the supervisor in `app` runs it. The
// numbers and their reasons are those of k8s/base/deployment.yaml; a test holds the two against each other.
import { controlAudience } from '@aether/contract/control-api'
import type { V1Container, V1EnvVar, V1PodSpec, V1Volume, V1VolumeMount } from '@kubernetes/client-node'
import type { DeploymentSpec } from '../domain/model.ts'

export interface PodOptions {
  readonly agentImage: string
  /** Of the sidecar, where it is another. */
  readonly fetchImage?: string | undefined
  readonly nodejsImage: string
  /** Where the pods reach control; the only origin that they show their token to. */
  readonly controlUrl: string
  readonly fetchMode: 'watch' | 'poll' | 'file'
  /** Secret of the namespace with the public keys, a file each; the owner of the namespace makes it. */
  readonly keysSecret: string
  readonly developmentEnvironments: ReadonlySet<string>
}

const tokenFolder = '/var/run/secrets/aether'
const user = 65_532
const confined = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
}
const agentResources = { requests: { cpu: '10m', memory: '64Mi' }, limits: { memory: '256Mi' } }

export function podSpec(spec: DeploymentSpec, options: PodOptions): V1PodSpec {
  return {
    serviceAccountName: spec.app,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: 30,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: user,
      runAsGroup: user,
      fsGroup: user,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    initContainers: [initFetch(spec, options), fetcher(spec, options)],
    containers: [app(spec, options)],
    volumes: volumes(options),
  }
}

function initFetch(spec: DeploymentSpec, options: PodOptions): V1Container {
  return {
    name: 'init-fetch',
    image: options.agentImage,
    command: ['/aether/bin/init-fetch'],
    env: agentEnv(spec, options),
    volumeMounts: agentMounts,
    securityContext: confined,
    resources: agentResources,
  }
}

function fetcher(spec: DeploymentSpec, options: PodOptions): V1Container {
  const { fetchMode } = options
  const ofPod = (variable: string, fieldPath: string) => ({ name: variable, valueFrom: { fieldRef: { fieldPath } } })
  return {
    name: 'fetcher',
    image: options.fetchImage ?? options.agentImage,
    command: ['/aether/bin/fetcher'],
    restartPolicy: 'Always',
    env: [
      ...agentEnv(spec, options),
      { name: 'AETHER_SUPERVISED', value: 'true' },
      ...(isDevelopment(spec, options) ? [noPause] : []),
      ...(fetchMode === 'watch' ? [] : [{ name: 'AETHER_FETCH_MODE', value: fetchMode }]),
      ...(fetchMode === 'file'
        ? []
        : [ofPod('AETHER_POD_NAME', 'metadata.name'), ofPod('AETHER_POD_NAMESPACE', 'metadata.namespace')]),
    ],
    ports: [{ name: 'fetcher-health', containerPort: 19_465, protocol: 'TCP' }],
    livenessProbe: livez(19_465),
    volumeMounts: [
      ...agentMounts,
      { name: 'run', mountPath: '/run/aether', readOnly: true },
      ...(fetchMode === 'file'
        ? []
        : [{ name: 'api-token', mountPath: '/var/run/secrets/kubernetes.io/serviceaccount', readOnly: true }]),
    ],
    securityContext: confined,
    resources: agentResources,
  }
}

function app(spec: DeploymentSpec, { nodejsImage }: PodOptions): V1Container {
  // Ours last: a variable may be named once only, and what these say is in the spec's own fields.
  const env = new Map([...Object.entries(spec.env), ['AETHER_APP', spec.app], ['PORT', String(spec.port)]])
  if (spec.readyPath !== null) env.set('AETHER_READY_PATH', spec.readyPath)
  return {
    name: 'app',
    image: nodejsImage,
    env: [...env].map(([name, value]) => ({ name, value })),
    ports: [
      { name: 'http', containerPort: spec.port, protocol: 'TCP' },
      { name: 'health', containerPort: 19_464, protocol: 'TCP' },
    ],
    readinessProbe: { httpGet: { path: '/readyz', port: 19_464 }, periodSeconds: 1, failureThreshold: 1 },
    livenessProbe: livez(19_464),
    volumeMounts: [
      { name: 'releases', mountPath: '/workspace', subPath: 'workspace', readOnly: true },
      { name: 'run', mountPath: '/run/aether' },
      { name: 'tmp', mountPath: '/tmp' },
    ],
    securityContext: confined,
    resources: { requests: { cpu: '50m', memory: '96Mi' }, limits: { memory: '256Mi' } },
  }
}

/** One save follows the other, and nobody's traffic has to be spared. */
const noPause = { name: 'AETHER_MIN_REFRESH_INTERVAL_MS', value: '0' }

function isDevelopment({ environment }: DeploymentSpec, { developmentEnvironments }: PodOptions): boolean {
  return developmentEnvironments.has(environment)
}

function agentEnv(spec: DeploymentSpec, options: PodOptions): V1EnvVar[] {
  return [
    { name: 'AETHER_APP', value: spec.app },
    { name: 'AETHER_PUBKEY', value: '/etc/aether/keys' },
    { name: 'AETHER_WORKSPACE_MAX_BYTES', value: '1932735283' },
    { name: 'AETHER_CONTROL_URL', value: options.controlUrl },
    { name: 'AETHER_CONTROL_TOKEN_FILE', value: `${tokenFolder}/token` },
    ...(isDevelopment(spec, options) ? [{ name: 'AETHER_DEVELOPMENT_SIGNATURES', value: 'true' }] : []),
  ]
}

const agentMounts: V1VolumeMount[] = [
  { name: 'releases', mountPath: '/var/lib/aether' },
  { name: 'podinfo', mountPath: '/etc/podinfo', readOnly: true },
  { name: 'keys', mountPath: '/etc/aether/keys', readOnly: true },
  { name: 'control-token', mountPath: tokenFolder, readOnly: true },
]

function livez(port: number) {
  return { httpGet: { path: '/livez', port }, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 3 }
}

function volumes({ fetchMode, keysSecret }: PodOptions): V1Volume[] {
  const annotations = { path: 'annotations', fieldRef: { fieldPath: 'metadata.annotations' } }
  const namespace = { path: 'namespace', fieldRef: { fieldPath: 'metadata.namespace' } }
  const apiToken = {
    name: 'api-token',
    projected: {
      sources: [
        { serviceAccountToken: { path: 'token', expirationSeconds: 600 } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        { downwardAPI: { items: [namespace] } },
      ],
    },
  }
  // Worth nothing at the API server, and ten minutes anywhere else.
  const controlToken = { serviceAccountToken: { audience: controlAudience, expirationSeconds: 600, path: 'token' } }
  return [
    { name: 'releases', emptyDir: { sizeLimit: '2Gi' } },
    { name: 'run', emptyDir: { medium: 'Memory', sizeLimit: '8Mi' } },
    { name: 'tmp', emptyDir: { sizeLimit: '64Mi' } },
    { name: 'podinfo', downwardAPI: { items: [annotations] } },
    { name: 'keys', secret: { secretName: keysSecret, defaultMode: 0o440 } },
    { name: 'control-token', projected: { sources: [controlToken] } },
    ...(fetchMode === 'file' ? [] : [apiToken]),
  ]
}
