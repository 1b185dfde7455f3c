// `npm run bench -- NAME`: one bench a name. README.md says what each measures and what its JSON holds.
import { parseArgs } from 'node:util'
import { benchAnnotate } from './annotate/bench.ts'
import type { BenchOptions } from './bench.ts'
import { benchDelta } from './delta/bench.ts'
import { benchDev } from './dev/bench.ts'
import { benchIdle } from './idle/bench.ts'
import { benchRelease } from './release/bench.ts'
import { benchSwap } from './swap/bench.ts'
import { benchUpload } from './upload/bench.ts'

const benches: Readonly<Record<string, (options: BenchOptions) => Promise<void>>> = {
  annotate: benchAnnotate,
  delta: benchDelta,
  dev: benchDev,
  idle: benchIdle,
  release: benchRelease,
  swap: benchSwap,
  upload: benchUpload,
}

const usage = `Usage: npm run bench -- NAME [options]
  NAME        ${Object.keys(benches).join(', ')}
  --json      print one object on stdout, and everything else on stderr
  --ours N    annotate, dev: changes measured for each case of ours (20)
  --theirs N  annotate, dev, swap: changes measured for each peer (10)
  --runs N    delta, release: measured runs of each contestant (5)
  --cases A,B delta, release: these cases alone
  --curve     release: five sizes instead of the cases
  --folder F  delta, release, swap: where to work (/dev/shm)
  --apps A,B  swap: these apps alone
  --swaps N   swap: changes of ours under load with each app (10)
  --kills N   swap: kills of ours with each app (5)
  --starts N  swap: starts alone, so many of each
  --requests N  swap: requests of ours with each app at least (0)
  --only A,B  swap: these contestants alone`

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      ours: { type: 'string', default: '20' },
      theirs: { type: 'string', default: '10' },
      runs: { type: 'string', default: '5' },
      cases: { type: 'string' },
      curve: { type: 'boolean', default: false },
      folder: { type: 'string' },
      apps: { type: 'string' },
      swaps: { type: 'string', default: '10' },
      kills: { type: 'string', default: '5' },
      starts: { type: 'string' },
      requests: { type: 'string', default: '0' },
      only: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  const [name = '', ...more] = positionals
  const bench = Object.hasOwn(benches, name) ? benches[name] : undefined
  if (values.help) console.log(usage)
  else if (bench === undefined || more.length > 0) {
    console.error(usage)
    process.exitCode = 2
  } else {
    await bench({
      isJson: values.json,
      ours: count('--ours', values.ours),
      theirs: count('--theirs', values.theirs),
      busyboxImage: process.env.AETHER_BUSYBOX_IMAGE || 'aether.local/busybox:1',
      imageLoad: process.env.AETHER_IMAGE_LOAD || undefined,
      release: {
        runs: count('--runs', values.runs),
        cases: values.cases?.split(','),
        isCurve: values.curve,
        folder: values.folder,
      },
      swap: {
        apps: values.apps?.split(','),
        swaps: count('--swaps', values.swaps),
        theirs: count('--theirs', values.theirs),
        kills: count('--kills', values.kills),
        starts: values.starts === undefined ? undefined : count('--starts', values.starts),
        requests: whole('--requests', values.requests),
        only: values.only?.split(','),
        folder: values.folder,
      },
      say: (line) => console.error(line),
    })
  }
} catch (error) {
  console.error('bench:', error)
  process.exitCode = 1
}

function count(flag: string, text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new Error(`${flag} must be a number from 1 to 9999; it is "${text}"`)
  return Number(text)
}

function whole(flag: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new Error(`${flag} must be a number from 0 to 999999999; it is "${text}"`)
  return Number(text)
}
