// `npm run images`: reads what is asked for and does it. Exit codes: 0 done, 1 failed, or --check found something newer.

import { buildImages } from './build.ts'
import { type Options, parseOptions, usage } from './options.ts'
import { formatMade, rowsOf } from './report.ts'

async function run(options: Options): Promise<number> {
  const made = await buildImages(options)
  console.log(options.isJson ? JSON.stringify(rowsOf(made)) : formatMade(made))
  return 0
}

try {
  const options = parseOptions(process.argv.slice(2), process.env['SOURCE_DATE_EPOCH'])
  if (options === undefined) console.log(usage)
  else process.exitCode = await run(options)
} catch (error) {
  console.error(`images: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
