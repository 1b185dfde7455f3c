// For tests: a built image unpacked, and its commands run in it as its user, by chroot and for a foreign architecture by qemu.
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import type { Test } from 'tap'
import { root } from './bundles.ts'
import { detectMachine } from './machine.ts'
import type { Architecture, Descriptor } from './oci.ts'
import { user } from './rootfs.ts'

export const folder = join(root, 'dist', 'images')
export const here = detectMachine(process.platform, process.arch).architecture
const qemu = { amd64: '/usr/bin/qemu-x86_64-static', arm64: '/usr/bin/qemu-aarch64-static' }

/** For `test`: these tests take half a minute, root, and images that are built. */
export function withImages(): { readonly skip: string } | Record<string, never> {
  if (process.env['AETHER_TEST_IMAGES'] !== '1')
    return { skip: 'needs built images: npm run images, then AETHER_TEST_IMAGES=1' }
  if (process.getuid?.() !== 0) return { skip: 'needs root: it runs commands with the image as their root' }
  if (spawnSync('unshare', ['--mount', 'true']).status !== 0) return { skip: 'needs the right to mount /proc and /dev' }
  return existsSync(join(folder, 'aether-agent.tar')) ? {} : { skip: 'dist/images is empty: npm run images' }
}

export type Rootfs = { readonly name: string; readonly architecture: Architecture; readonly path: string }

type Index = { manifests: (Descriptor & { platform?: { architecture: Architecture } })[] }

/** The images of dist/images with this name, or all; each architecture of each, unpacked. */
export function openImages(t: Test, wanted: RegExp, architecture: Architecture): Rootfs[] {
  const files = readdirSync(folder).filter((file) => file.endsWith('.tar') && wanted.test(file))
  return files.flatMap((file) => openImage(t, file, architecture) ?? [])
}

function openImage(t: Test, file: string, architecture: Architecture): Rootfs | undefined {
  const opened = openArchive(t, join(folder, file), architecture)
  if (opened === undefined) return undefined
  const path = join(opened.made, 'root')
  mkdirSync(path)
  for (const one of [opened.made, path]) chmodSync(one, 0o755)
  for (const layer of opened.manifest.layers) unpack(['-xzf', opened.blob(layer)], path)
  rmSync(opened.layout, { recursive: true })
  return { name: file.replace(/\.tar$/, ''), architecture, path }
}

/** The manifest for an architecture in an archive, and its digest. */
export function openArchive(t: Test, archive: string, architecture: Architecture) {
  const made = mkdtempSync(join(tmpdir(), 'aether-image-'))
  t.teardown(() => rmSync(made, { recursive: true }))
  const layout = join(made, 'layout')
  mkdirSync(layout)
  unpack(['-xf', archive], layout)
  const blob = ({ digest }: Pick<Descriptor, 'digest'>) => join(layout, 'blobs', digest.replace(':', '/'))
  const read = (from: string) => JSON.parse(readFileSync(from, 'utf8'))
  let index: Index = read(join(layout, 'index.json'))
  const [only] = index.manifests
  if (only?.mediaType.includes('index')) index = read(blob(only))
  const found = index.manifests.find(({ platform }) => platform?.architecture === architecture)
  if (found === undefined) return undefined
  const manifest: { layers: Descriptor[]; annotations: Record<string, string> } = read(blob(found))
  return { made, layout, blob, digest: found.digest, manifest }
}

function unpack(args: readonly string[], to: string): void {
  const { status, stderr } = spawnSync('tar', [...args, '-C', to])
  if (status !== 0) throw new Error(`tar ${args.join(' ')}: ${stderr.toString()}`)
}

/** For `test`: skips it where commands of this architecture were not built, or cannot be run here. */
export function withArchitecture(architecture: Architecture): { readonly skip: string } | Record<string, never> {
  const why = withImages()
  if ('skip' in why) return why
  if (!existsSync(join(folder, `aether-agent.${architecture}.cdx.json`)))
    return { skip: `dist/images has nothing for ${architecture}: npm run images -- --arch amd64,arm64` }
  if (architecture === here || existsSync(qemu[architecture])) return {}
  return { skip: `${qemu[architecture]} is not there: apt-get install qemu-user-static` }
}

// In mounts of its own, which end with it.
const withKernel = '/bin/mount --rbind /proc "$0/proc" && /bin/mount --rbind /dev "$0/dev" && exec "$@"'

/** Starts a command of /aether/bin as the image's user, with its root as its root and with this environment alone. */
export function startIn(
  { path, architecture }: Rootfs,
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  input = '',
) {
  const isForeign = architecture !== here
  if (isForeign) copyFileSync(qemu[architecture], join(path, 'qemu'))
  // The kernel starts a command by its first line; without a handler for foreign binaries that line is written out here.
  const start = isForeign ? ['/qemu', '/usr/local/bin/node', `/aether/bin/${command}`] : [`/aether/bin/${command}`]
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`)
  for (const name of ['proc', 'dev']) mkdirSync(join(path, name), { recursive: true })
  const mounts = ['/usr/bin/unshare', '--mount', '/bin/sh', '-c', withKernel, path]
  const chroot = [...mounts, '/usr/sbin/chroot', `--userspec=${user}:${user}`, path]
  return execa('env', ['-i', ...variables, ...chroot, ...start, ...args], { reject: false, all: true, input })
}
