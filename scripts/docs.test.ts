// What the documents name is there: a promise whose test was renamed away would otherwise go unnoticed.
import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'

const root = fileURLToPath(new URL('..', import.meta.url))

await test('every file of the project that a document names exists', async (t) => {
  const documents = globSync(['*.md', 'docs/**/*.md', '{bench,e2e,images,k8s}/*.md'], { cwd: root })
  t.ok(documents.length > 8, documents.join(', '))
  const folders = '(?:agents|artifact|bench|contract|docs|e2e|examples|images|k8s|scripts)'
  for (const document of documents) {
    const text = readFileSync(join(root, document), 'utf8')
    for (const [, path = ''] of text.matchAll(
      new RegExp(`\`(${folders}/[\\w./-]+\\.(?:ts|mjs|sh|md|yaml|json|js))\``, 'g'),
    ))
      t.ok(existsSync(join(root, path)), `${document}: ${path}`)
    for (const [, path = ''] of text.matchAll(/\]\(((?!https?:)[\w./-]+)\)/g))
      t.ok(existsSync(join(root, document, '..', path)), `${document}: ${path}`)
  }
})

await test('each promise of the security page names a test, or says that it is not given', async (t) => {
  const rows = [...readFileSync(join(root, 'docs/security.md'), 'utf8').matchAll(/^\| (\d+) \| (.*?) \| (.*?) ?\|$/gm)]
  t.equal(rows.length, 10)
  for (const [, number, promise = '', tests = ''] of rows) {
    const named = namedTests(tests)
    t.ok(named.length > 0 || promise.startsWith('Not given yet'), `promise ${number}`)
    for (const { path, name } of named) t.ok(isTest(path, name), `promise ${number}: ${path}: ${name}`)
  }
})

await test('each fault of the security page names tests that there are', async (t) => {
  const page = readFileSync(join(root, 'docs/security.md'), 'utf8')
  const [, table = ''] = page.split('| fault |')
  const rows = table.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| beyond'))
  t.ok(rows.length > 20, `${rows.length} rows`)
  for (const row of rows) {
    const named = namedTests(row)
    t.ok(named.length > 0 || row.includes('| no test of its own |'), row.slice(0, 60))
    for (const { path, name } of named) t.ok(isTest(path, name), `${path}: ${name}`)
  }
})

/** Each `file`: "name" of a cell. */
function namedTests(text: string) {
  const found = text.matchAll(/`([\w./-]+\.(?:test|e2e)\.ts)`: "([^"]+)"/g)
  return [...found].map(([, path = '', name = '']) => ({ path, name }))
}

function isTest(path: string, name: string): boolean {
  return readFileSync(join(root, path), 'utf8').includes(`'${name}'`)
}
