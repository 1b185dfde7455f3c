import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { annotations } from '@aether/contract/annotations'
import { digestFromHex } from '@aether/contract/digest'
import { formatPodinfo } from '@aether/contract/podinfo'
import { createLog } from '@aether/runtime/log'
import { eventually, testFolder } from '@aether/runtime/test-process'
import { type Test, test } from 'tap'
import type { Delivery } from './delivery.ts'
import { createFileSource } from './file-source.ts'

const digestOf = (n: number) => digestFromHex(String(n).repeat(64))

const textOf = (n: number, signature?: string) =>
  formatPodinfo({
    [annotations.artifactUrl]: `http://artifacts.example/${n}`,
    [annotations.digest]: digestOf(n),
    ...(signature !== undefined && { [annotations.signature]: signature }),
  })

async function follow(t: Test, path: string) {
  const deliveries: Delivery[] = []
  const deliver = (delivery: Delivery) => void deliveries.push(delivery)
  const source = createFileSource({ path, intervalMs: 60_000, deliver, log: createLog('test', 'silent') })
  await source.start()
  t.teardown(() => source.stop())
  const arrives = (n: number) => eventually(`target ${n}`, () => deliveries.at(-1)?.asked?.digest === digestOf(n))
  return { deliveries, arrives }
}

await test('a file that is replaced, written into, signed or not: each target is delivered, and each once', async (t) => {
  const path = join(testFolder(t), 'annotations')
  const replace = (text: string) => {
    writeFileSync(`${path}.new`, text)
    renameSync(`${path}.new`, path)
  }
  writeFileSync(path, textOf(1, 'ab'))
  const { deliveries, arrives } = await follow(t, path)
  await arrives(1)
  replace(textOf(2, 'ab'))
  await arrives(2)
  replace(textOf(3))
  await arrives(3)
  writeFileSync(path, textOf(4, 'ab'))
  await arrives(4)
  replace(textOf(4, 'ab'))
  replace(textOf(5, 'ab'))
  await arrives(5)
  t.strictSame(
    deliveries.map((one) => one.asked?.digest),
    [1, 2, 3, 4, 5].map(digestOf),
  )
})

await test('a swap of the link beside the file, as Kubernetes makes it, is one delivery', async (t) => {
  const folder = testFolder(t)
  const swap = (n: number) => {
    mkdirSync(join(folder, `..${n}`))
    writeFileSync(join(folder, `..${n}`, 'annotations'), textOf(n, 'ab'))
    symlinkSync(`..${n}`, join(folder, '..data_tmp'))
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
  }
  swap(1)
  symlinkSync('..data/annotations', join(folder, 'annotations'))
  const { deliveries, arrives } = await follow(t, join(folder, 'annotations'))
  await arrives(1)
  swap(2)
  await arrives(2)
  swap(3)
  await arrives(3)
  t.equal(deliveries.length, 3)
})
