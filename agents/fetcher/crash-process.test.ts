// kill -9 of the real fetcher at chosen moments of a refresh, then a start without harm: it finishes, and says OK for the
// release. Once in all, but where death comes between the marker and state.json: then a second time rather than never.
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { hexOf } from '@aether/contract/digest'
import { releaseName } from '@aether/contract/layout'
import { type KillMode, killEnv } from '@aether/runtime/test-kill'
import { test } from 'tap'
import { createWorld, type Fetcher, type Made } from './test-kit.ts'

type Moment =
  | { readonly name: string; readonly sent: number; readonly said: readonly [number, number] }
  | { readonly name: string; readonly mode: KillMode; readonly call: string; readonly said: readonly [number, number] }

/** `sent` is the share of the artifact that left the server; B comes, Z is pruned; `said` are the OKs of both runs. */
const moments: readonly Moment[] = [
  { name: 'at the event', sent: 0, said: [0, 1] },
  { name: 'mid-download', sent: 0.5, said: [0, 1] },
  { name: 'after verify', mode: 'before', call: 'mkdir staging/B-', said: [0, 1] },
  { name: 'mid-extract', mode: 'during', call: 'write staging/B-', said: [0, 1] },
  { name: 'before fsync', mode: 'before', call: 'sync complete/B.json', said: [0, 1] },
  { name: 'after rename', mode: 'after', call: 'rename staging/B-', said: [0, 1] },
  { name: 'after activation.json', mode: 'after', call: '-> workspace/activation.json', said: [0, 1] },
  { name: 'after the temporary link', mode: 'after', call: 'symlink releases/B', said: [0, 1] },
  { name: 'after the flip, before the marker', mode: 'after', call: '-> workspace/current', said: [0, 1] },
  { name: 'after the marker, before state.json', mode: 'before', call: '-> state.json', said: [1, 1] },
  { name: 'after state.json', mode: 'after', call: '-> state.json', said: [1, 0] },
  { name: 'mid-prune, before the record', mode: 'before', call: 'rm complete/Z.json', said: [1, 0] },
  { name: 'mid-prune, after the first file', mode: 'after', call: 'unlink staging/Z-', said: [1, 0] },
]

await test('kill -9 at any moment of a refresh: the next start finishes it and says OK', async (t) => {
  const world = await createWorld(t, { AETHER_KEEP_RELEASES: '2' })
  const log = join(world.root, 'calls')
  let [z, a] = [world.make('z'), world.make('a')]
  world.annotate(z.annotations)
  const first = world.start()
  await first.marker(1)
  world.annotate(a.annotations)
  await first.marker(2)
  first.kill('SIGTERM')
  await first.exited

  for (const moment of moments) {
    const { name, said } = moment
    const b = world.make(name)
    const dying = dieAt(moment, b)
    t.equal(await dying.exited, 'SIGKILL', `${name}: it was killed`)
    const left = await world.current()
    t.ok(left === a.digest || left === b.digest, `${name}: current is A or B`)
    const { id } = world.activation()

    const again = world.start()
    await again.line(`REFRESH_STATE failures=0 last_digest=${hexOf(b.digest)}`)
    again.kill('SIGTERM')
    t.equal(await again.exited, 0)
    t.equal(await world.current(), b.digest, `${name}: current is B`)
    t.equal(world.activation().id - id, left === b.digest ? 0 : 1, `${name}: no activation too many`)
    t.same([oksOf(dying, b), oksOf(again, b)], said, `${name}: OKs of both runs`)
    t.same(again.markers().length, said[1], `${name}: and no other marker`)
    const names = [a, b].map(({ digest }) => releaseName(digest))
    t.same(readdirSync(world.layout.releases).toSorted(), names.toSorted(), `${name}: Z is pruned`)
    t.same([readdirSync(world.layout.staging), readdirSync(world.layout.lock)], [[], []], `${name}: nothing is left`)
    t.comment(`${name}: current was ${left === b.digest ? 'B' : 'A'}, OKs ${said.join(' then ')}`)
    ;[z, a] = [a, b]
  }

  function dieAt(moment: Moment, b: Made): Fetcher {
    world.annotate(b.annotations)
    if (!('sent' in moment)) {
      const like = moment.call.replace('B', releaseName(b.digest)).replace('Z', releaseName(z.digest))
      writeFileSync(log, '')
      return world.start(killEnv({ below: world.layout.root, log, like, at: 1, mode: moment.mode }))
    }
    const [path = '', bytes] = [...world.server.routes].at(-1) ?? []
    if (!(bytes instanceof Uint8Array)) throw new Error('no artifact')
    world.server.routes.set(path, (_request, response) => {
      response.writeHead(200, { 'content-length': bytes.length })
      response.write(bytes.subarray(0, bytes.length * moment.sent), () => setTimeout(() => dying.kill('SIGKILL'), 50))
      world.server.routes.set(path, bytes)
    })
    const dying = world.start()
    return dying
  }
})

function oksOf(fetcher: Fetcher, made: Made): number {
  return fetcher.markers().filter((marker) => marker.kind === 'ok' && marker.digest === hexOf(made.digest)).length
}
