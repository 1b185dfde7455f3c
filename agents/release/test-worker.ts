// For tests: a real process that works on a volume, to be observed and killed. argv: what it does, and its input as JSON.
// Each says "ready" first. `churn` refreshes from target to target for ever; `observe` looks at `current` without pause
// until SIGTERM and reports; `hold` takes the lock and keeps it, or says why it could not.
import { realpathSync } from 'node:fs'
import { basename, join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { layoutOf } from '@aether/contract/layout'
import { toReasonError } from '@aether/contract/reasons'
import { parseTarget } from '@aether/contract/target'
import { createKeyring } from '@aether/verifier/keyring'
import { lockVolume } from './lock.ts'
import { pruneReleases } from './prune.ts'
import { recoverVolume } from './recover.ts'
import { refresh } from './refresh.ts'
import { limits, listTree, sources } from './test-kit.ts'

export interface WorkerInput {
  readonly root: string
  readonly publicPem: string
  /** Annotations of the targets, in turn. */
  readonly targets: readonly Record<string, string>[]
  /** Listing of each release by the name of its folder. */
  readonly manifest: Readonly<Record<string, readonly string[]>>
}

const jobs: Readonly<Record<string, (input: WorkerInput) => Promise<void>>> = { churn, observe, hold }

async function churn({ root, publicPem, targets }: WorkerInput): Promise<void> {
  const layout = layoutOf(root)
  await lockVolume(layout)
  const policy = { requireSignature: true, takesDevelopment: false, keyring: createKeyring(publicPem, 'key') }
  say('ready')
  await recoverVolume(layout)
  for (;;)
    for (const annotations of targets) {
      const target = parseTarget(annotations)
      if (target !== undefined) await refresh(target, { layout, policy, sources, limits }, new AbortController().signal)
      await pruneReleases(layout, 2, [])
    }
}

async function observe({ root, manifest }: WorkerInput): Promise<void> {
  const current = join(layoutOf(root).workspace, 'current')
  const seen: Record<string, number> = {}
  const faults: string[] = []
  const end = new AbortController()
  process.on('SIGTERM', () => end.abort())
  say('ready')
  for (; !end.signal.aborted; await turn())
    try {
      const release = realpathSync(current)
      const name = basename(release)
      seen[name] = (seen[name] ?? 0) + 1
      if (JSON.stringify(listTree(release)) !== JSON.stringify(manifest[name])) faults.push(`${name} is not whole`)
    } catch (error) {
      faults.push(String(error))
    }
  say(JSON.stringify({ seen, faults }))
}

async function hold({ root }: WorkerInput): Promise<void> {
  try {
    await lockVolume(layoutOf(root))
    setInterval(() => {}, 60_000)
    say('ready')
  } catch (error) {
    say(`ready but ${toReasonError(error).reason}`)
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

const [job = '', input = '{}'] = process.argv.slice(2)
await jobs[job]?.(JSON.parse(input))
