// For tests: a small volume of its own, to be filled or made read-only.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

export const needsRoot = process.getuid?.() === 0 ? {} : { skip: 'needs root: it mounts a small tmpfs' }

/** A memory volume with these mount options, at `root` or a folder of its own; unmounted at the end. */
export function mountVolume(t: Test, options: string, root = mkdtempSync(join(tmpdir(), 'aether-volume-'))): string {
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'none', root])
  t.teardown(() => {
    execFileSync('umount', ['-l', root])
    rmSync(root, { recursive: true, force: true })
  })
  return root
}
