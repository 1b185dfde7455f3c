// The annotations of a pod that are ours; nothing else on the pod is read.
const prefix = 'aether.dev/'

export const annotations = {
  digest: `${prefix}digest`,
  artifactUrl: `${prefix}artifact-url`,
  signature: `${prefix}signature`,
  devHot: `${prefix}dev-hot`,
  buildCommit: `${prefix}build-commit`,
  buildTime: `${prefix}build-time`,
  traceparent: `${prefix}traceparent`,
} as const
