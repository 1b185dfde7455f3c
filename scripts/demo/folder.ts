// Everything the demo writes lies in one folder, laid out as in a pod.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

export interface DemoFolder {
  readonly root: string
  readonly app: string
  readonly artifacts: string
  readonly signingKey: string
  readonly publicKey: string
  readonly annotations: string
  readonly data: string
  readonly run: string
  readonly address: string
}

export function demoFolder(root: string): DemoFolder {
  return {
    root,
    app: join(root, 'app'),
    artifacts: join(root, 'artifacts'),
    signingKey: join(root, 'signing-key.pem'),
    publicKey: join(root, 'keys', 'demo.pem'),
    annotations: join(root, 'podinfo', 'annotations'),
    data: join(root, 'data'),
    run: join(root, 'run'),
    address: join(root, 'artifact-server'),
  }
}

export async function makeDemoFolder(root: string): Promise<DemoFolder> {
  const folder = demoFolder(root)
  for (const path of [folder.artifacts, folder.data, folder.run, join(root, 'keys'), join(root, 'podinfo')])
    await mkdir(path, { recursive: true })
  return folder
}
