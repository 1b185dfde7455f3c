import { type Digest, digestFromHex } from '@aether/contract/digest'
import { array, assert, boolean, infiniteStream, nat, property, record } from 'fast-check'
import { test } from 'tap'
import { ancestorsOf, bytesTogether, type Share } from './shares.ts'

const digestOf = (n: number): Digest => digestFromHex(n.toString(16).padStart(64, '0'))

interface Made extends Share {
  /** Inodes of one byte each. */
  readonly inodes: ReadonlySet<number>
}

/** Each release is made from an earlier one, or from nothing; some of its inodes go and some are new. */
const releases = array(record({ base: nat(20), keeps: nat(100), writes: nat(10) }), { maxLength: 12 })

await test('bytes that releases share count once, and never too little', (t) => {
  let last = 0
  assert(
    property(releases, infiniteStream(boolean()), (plans, isKept) => {
      const made: Made[] = []
      for (const { base, keeps, writes } of plans) {
        const from = made[base]
        const kept = [...(from?.inodes ?? [])].filter((inode) => (inode * 37) % 101 < keeps)
        const inodes = new Set([...kept, ...Array.from({ length: writes }, () => ++last)])
        const ancestors = from === undefined ? [] : ancestorsOf(from, writes)
        made.push({ digest: digestOf(made.length), bytes: inodes.size, ancestors, inodes })
      }
      const there = made.filter(() => isKept.next().value)
      const truth = new Set(there.flatMap(({ inodes }) => [...inodes])).size
      const said = bytesTogether(there)
      return said >= truth && said <= there.reduce((sum, { bytes }) => sum + bytes, 0)
    }),
    { numRuns: 2000 },
  )

  const [a, z] = [digestOf(1), digestOf(2)]
  const first: Share = { digest: a, bytes: 1000, ancestors: [] }
  const second: Share = { digest: z, bytes: 1001, ancestors: ancestorsOf(first, 2) }
  const third: Share = { digest: digestOf(3), bytes: 1001, ancestors: ancestorsOf(second, 3) }
  t.equal(bytesTogether([first, second, third]), 1005)
  t.equal(bytesTogether([first, third]), 1005, 'over one that is gone')
  t.equal(bytesTogether([second, third]), 1004)
  const twin: Share = { digest: digestOf(4), bytes: 1000, ancestors: ancestorsOf(first, 4) }
  t.equal(bytesTogether([second, twin]), 1006, 'two of the same, which is gone')
  t.end()
})
