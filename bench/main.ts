// `npm run bench -- NAME`: one bench a name. README.md says what each measures and what its JSON holds.
import { parseArgs } from 'node:util'
import { benchAnnotate } from './annotate/bench.ts'
import type { BenchOptions } from './bench.ts'
import { benchUpload } from './upload/bench.ts'

const benches: Readonly<Record<string, (options: BenchOptions) => Promise<void>>> = {
  annotate: benchAnnotate,
  upload: benchUpload,
}

const usage = `Usage: npm run bench -- NAME [options]
  NAME        ${Object.keys(benches).join(', ')}
  --json      print one object on stdout, and everything else on stderr
  --ours N    changes measured for each case of ours (20)
  --theirs N  changes measured for each peer (10)`

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      ours: { type: 'string', default: '20' },
      theirs: { type: 'string', default: '10' },
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
