import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ReasonError } from '@aether/contract/reasons'
import { test } from 'tap'
import { resolveAppCommand } from './app-command.ts'

await test('the start command comes from the setting, then scripts.start, then main, then server.js', (t) => {
  const release = t.testdir({ 'server.js': '', 'app.js': '', 'package.json': '{}' })
  const argsOf = (setting?: string) => resolveAppCommand(release, setting).args
  t.same(argsOf(), [join(release, 'server.js')])
  writeFileSync(join(release, 'package.json'), JSON.stringify({ main: 'app.js' }))
  t.same(argsOf(), [join(release, 'app.js')])
  writeFileSync(
    join(release, 'package.json'),
    JSON.stringify({ main: 'app.js', scripts: { start: 'node --enable-source-maps app.js' } }),
  )
  t.same(argsOf(), ['--enable-source-maps', 'app.js'])
  t.same(argsOf('node other.js'), ['other.js'])
  t.end()
})

await test('words, quotes and variables in front are read without a shell', (t) => {
  const release = t.testdir({})
  const command = resolveAppCommand(release, `A=1 B='x y' node --title "a \\"b\\"" c\\ d.js ''`)
  t.same(command, { file: process.execPath, args: ['--title', 'a "b"', 'c d.js', ''], env: { A: '1', B: 'x y' } })
  t.end()
})

await test('names of node_modules/.bin are resolved to their JavaScript', (t) => {
  const release = t.testdir({ node_modules: { '.bin': {}, tool: { 'cli.js': '', bare: '#!/usr/bin/env node\n' } } })
  symlinkSync('../tool/cli.js', join(release, 'node_modules/.bin/tool'))
  symlinkSync('../tool/bare', join(release, 'node_modules/.bin/bare'))
  for (const [name, file] of [
    ['tool', 'cli.js'],
    ['bare', 'bare'],
  ] as const) {
    const command = resolveAppCommand(release, `${name} serve`)
    t.same(command, { file: process.execPath, args: [join(release, 'node_modules/tool', file), 'serve'], env: {} })
  }
  t.end()
})

await test('a program of the release is started as it is, and its scripts by node', (t) => {
  const release = t.testdir({ bin: { 'run.mjs': '' } })
  mkdirSync(join(release, 'native'))
  writeFileSync(join(release, 'native/app'), 'ELF')
  chmodSync(join(release, 'native/app'), 0o755)
  t.same(resolveAppCommand(release, './native/app -p 1'), {
    file: join(release, 'native/app'),
    args: ['-p', '1'],
    env: {},
  })
  t.same(resolveAppCommand(release, 'bin/run.mjs').args, [join(release, 'bin/run.mjs')])
  t.end()
})

await test('what needs a shell, and what is not there, is refused with the remedy', (t) => {
  const release = t.testdir({ 'package.json': '{}' })
  const needsShell = [
    'node a.js | tee log',
    'a && b',
    'node a.js > out',
    'node $HOME/a.js',
    'node `which a`',
    'node *.js',
    'node "$A"',
    'a; b',
  ]
  for (const text of needsShell)
    refuses(text, /needs a shell, and the app is started without one; write one plain command/)
  refuses("node 'a.js", /is not closed/)
  refuses('npm start', /neither node, a path, nor in node_modules\/\.bin: write `node file\.js`/)
  refuses('./missing.js', /not in the release/)
  refuses('A=1', /starts nothing/)
  refuses(undefined, /set AETHER_APP_CMD, or give its package\.json scripts\.start or main, or add server\.js/)
  writeFileSync(join(release, 'package.json'), 'nonsense')
  refuses(undefined, /package\.json of the release is not JSON/)

  function refuses(setting: string | undefined, message: RegExp): void {
    try {
      resolveAppCommand(release, setting)
      t.fail('taken', { setting })
    } catch (error) {
      t.ok(
        error instanceof ReasonError && error.reason === 'unhealthy' && error.detail === 'command',
        setting ?? 'no setting',
      )
      t.match(error, { message })
    }
  }
  t.end()
})
