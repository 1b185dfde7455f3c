// Whatever the bytes: no escape, no crash, and a tree that is accepted is the one that GNU tar makes. Every accepted case
// is unpacked by both. PROPERTY_CASES=20000 is the long run, PROPERTY_SEED another one.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, readlinkSync, realpathSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { layoutOf } from '@aether/contract/layout'
import { ReasonError } from '@aether/contract/reasons'
import * as fc from 'fast-check'
import { test } from 'tap'
import { openRoom } from './budget.ts'
import { limits, listTree } from './test-kit.ts'
import { archives } from './test-mutate.ts'
import { createUnpacker } from './unpack.ts'

const cases = Number(process.env['PROPERTY_CASES'] ?? 400)
const seed = Number(process.env['PROPERTY_SEED'] ?? 20_260)

await test('mutated archives are refused, or become the tree that GNU tar makes of them', async (t) => {
  const root = t.testdir({ outside: { sentinel: 'as it was' } })
  const room = await openRoom(layoutOf(root), limits, [])
  const [ours, theirs] = [join(root, 'ours'), join(root, 'theirs')]
  const refused = new Map<string, number>()
  let accepted = 0
  let entries = 0

  async function unpack(archive: Uint8Array, pieceBytes: number): Promise<ReasonError | undefined> {
    const unpacker = createUnpacker(ours, limits, room)
    try {
      for (let at = 0; at < archive.length; at += pieceBytes)
        await unpacker.write(archive.subarray(at, at + pieceBytes))
      await unpacker.end()
      return undefined
    } catch (error) {
      unpacker.abandon()
      if (error instanceof ReasonError) return error
      throw error // an error of the file system: an entry was admitted that cannot be
    }
  }

  await fc.assert(
    fc.asyncProperty(archives, fc.constantFrom(100_000, 700, 61), async (archive, pieceBytes) => {
      for (const folder of [ours, theirs]) {
        rmSync(folder, { recursive: true, force: true })
        mkdirSync(folder)
      }
      const refusal = await unpack(gzipSync(archive, { level: 1 }), pieceBytes)
      strictEqual(readdirSync(root).toSorted().join(), 'ours,outside,theirs', 'something was written outside')
      strictEqual(readFileSync(join(root, 'outside/sentinel'), 'utf8'), 'as it was', 'the sentinel was written')
      strictEqual(readdirSync(join(root, 'outside')).length, 1, 'something was written beside the sentinel')
      if (refusal !== undefined) {
        strictEqual(refusal.reason, 'extract', 'the reason is not one of the archive')
        refused.set(refusal.detail, (refused.get(refusal.detail) ?? 0) + 1)
        return
      }
      accepted++
      const made = listTree(ours)
      entries += made.length
      for (const row of made.filter((each) => each.includes(' -> ')))
        if (!staysInside(ours, join(ours, row.split(' -> ')[0] ?? ''))) throw new Error(`${row} leads outside`)
      const options = ['-x', '-f', '-', '--no-same-owner', '-C', theirs]
      const { signal } = spawnSync('tar', options, { input: archive, timeout: 20_000 })
      strictEqual(signal, null, 'GNU tar did not end')
      strictEqual(made.join('\n'), listTree(theirs).join('\n'), 'the trees differ')
    }),
    { seed, numRuns: cases, endOnFailure: cases > 1000 },
  )
  const rules = [...refused].toSorted(([, a], [, b]) => b - a).map(([detail, n]) => `${detail} ${n}`)
  t.comment(
    `seed ${seed}: ${cases} cases, ${accepted} accepted and equal (${entries} entries), refused: ${rules.join(', ')}`,
  )
  t.ok(accepted > cases / 5, `${accepted} of ${cases} were accepted`)
  t.ok(refused.size >= 5, 'many rules were met')
})

function strictEqual(is: unknown, wanted: unknown, what: string): void {
  if (is !== wanted) throw new Error(`${what}:\n${String(is)}\n--- wanted ---\n${String(wanted)}`)
}

/** Asks the kernel, not our rules: where the link leads, or else the longest part of it that leads anywhere. */
function staysInside(root: string, link: string): boolean {
  const home = realpathSync(root)
  for (
    let path = `${dirname(link)}/${readlinkSync(link)}`;
    path.length >= root.length;
    path = path.slice(0, path.lastIndexOf('/'))
  ) {
    try {
      const real = realpathSync.native(path)
      return real === home || real.startsWith(`${home}/`)
    } catch {
      // Leads nowhere as it stands.
    }
  }
  return false
}
