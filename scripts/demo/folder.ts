// Everything the demo writes lies in one folder.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

export interface DemoFolder {
  readonly root: string
  /** The developer's own: source and keys. */
  readonly app: string
  readonly keys: string
  readonly signingKey: string
  readonly publicKey: string
  /** Of control: artifacts, database and file targets. */
  readonly control: string
  /** Of the app's agents, laid out as in a pod. */
  readonly data: string
  readonly run: string
}

export async function makeDemoFolder(root: string): Promise<DemoFolder> {
  const keys = join(root, 'keys')
  const folder = {
    root,
    app: join(root, 'app'),
    keys,
    signingKey: join(keys, 'aether-signing.pem'),
    publicKey: join(keys, 'aether-signing.pub.pem'),
    control: join(root, 'control'),
    data: join(root, 'pod', 'data'),
    run: join(root, 'pod', 'run'),
  }
  for (const path of [folder.app, folder.control, folder.data, folder.run]) await mkdir(path, { recursive: true })
  return folder
}
