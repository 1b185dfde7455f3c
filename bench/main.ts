// `npm run bench -- NAME`: one bench a name. README.md says what each measures and what its JSON holds.
import { parseArgs } from 'node:util'
import { benchAnnotate } from './annotate/bench.ts'
import type { BenchOptions } from './bench.ts'
import { benchIdle } from './idle/bench.ts'
import { benchRelease } from './release/bench.ts'
import { benchUpload } from './upload/bench.ts'

const benches: Readonly<Record<string, (options: BenchOptions) => Promise<void>>> = {
  annotate: benchAnnotate,
  idle: benchIdle,
  release: benchRelease,
  upload: benchUpload,
}

const usage = `Usage: npm run bench -- NAME [options]
  NAME        ${Object.keys(benches).join(', ')}
  --json      print one object on stdout, and everything else on stderr
  --ours N    annotate: changes measured for each case of ours (20)
  --theirs N  annotate: changes measured for each peer (10)
  --runs N    release: measured runs of each contestant (5)
  --cases A,B release: these cases alone
  --curve     release: five sizes instead of the cases
  --folder F  release: where to work (/dev/shm)`

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
      release: {
        runs: count('--runs', values.runs),
        cases: values.cases?.split(','),
        isCurve: values.curve,
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
