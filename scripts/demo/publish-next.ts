// npm run publish-demo -- FOLDER: packs, signs and annotates the app of a demo that was left running by --keep.
import { access } from 'node:fs/promises'
import { hexOf } from '@aether/contract/digest'
import { demoFolder } from './folder.ts'
import { annotate, publish } from './publish.ts'

const [root] = process.argv.slice(2)
try {
  if (root === undefined) throw new Error('give the folder that `npm start -- --keep` printed')
  const folder = demoFolder(root)
  await access(folder.address).catch(() => {
    throw new Error(`${root} is no folder of a demo: start one with \`npm start -- --keep\``)
  })
  const published = await publish(folder)
  await annotate(folder, published)
  console.log(`Published sha256 ${hexOf(published.digest)} and annotated. The agents take it from here.`)
} catch (error) {
  console.error(`publish-demo: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
