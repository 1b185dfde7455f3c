// aether logs. kubectl is a stand-in here, which answers as kubectl does: the real one is the business of the e2e.
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cliExitCodes } from '@aether/contract/exit-codes'
import { formatRefreshOk } from '@aether/contract/markers'
import { test } from 'tap'
import { eventually } from './test-control.ts'
import { run, start } from './test-run.ts'

const pod = (name: string, state: object = { running: {} }) => ({
  metadata: { name, uid: `uid-${name}` },
  status: { containerStatuses: [{ name: 'app', state }] },
})
const marker = formatRefreshOk({ app: 'shop', digest: 'a'.repeat(64), ms: 5 }, {})
const agentLine = '{"level":30,"time":"2026-01-01T00:00:00.000Z","agent":"supervisor","msg":"release serves"}'

/** Writes down its arguments; `get` shows pods.json, `logs` the file of the pod and, where it follows, waits. */
const kubectl = `#!/bin/sh
echo "$@" >> "$HOME/calls"
for last; do :; done
case $1 in
  get) cat "$HOME/pods.json" ;;
  logs) cat "$HOME/$last.log"; case "$*" in *--follow*) [ "$last" = gone ] || exec sleep 60 ;; esac ;;
esac
`

await test('logs shows the lines of the app under the name of its pod, and the agents where they are asked for', async (t) => {
  const home = t.testdir({
    bin: { kubectl },
    'pods.json': JSON.stringify({ items: [pod('shop-1'), pod('shop-2'), pod('shop-3', { waiting: {} })] }),
    'shop-1.log': `hello\n${agentLine}\n${marker}\n{"agent":"mine"}\n`,
    'shop-2.log': 'two\u001b[2Jlines\nlast without newline',
  })
  chmodSync(join(home, 'bin/kubectl'), 0o755)
  const env = { PATH: `${join(home, 'bin')}:${process.env.PATH ?? ''}`, HOME: home }
  const logs = (...args: readonly string[]) => run(t, ['logs', 'shop', ...args], { cwd: home, env })
  const plain = await logs()
  t.match(plain, { code: 0, stderr: 'warning: shop-3 has not started yet\n' })
  t.equal(plain.stdout, 'shop-1 hello\nshop-1 {"agent":"mine"}\nshop-2 two?[2Jlines\nshop-2 last without newline\n')
  const all = await logs('--all', '--since', '5m', '--namespace', 'staging')
  t.match(all.stdout, `shop-1 hello\nshop-1 ${agentLine}\nshop-1 ${marker}\n`)
  const none = await run(t, ['logs', 'shop'], {
    cwd: home,
    env: { ...env, PATH: process.execPath.replace(/\/[^/]*$/, '') },
  })
  t.match(none, {
    code: cliExitCodes.runtime,
    stderr: /kubectl is not installed, or not on PATH\nnext: install kubectl/,
  })
  writeFileSync(join(home, 'pods.json'), '{"items":[]}')
  t.match(await logs(), { code: 1, stderr: /there is no pod of shop in namespace default\nnext: .*without a cluster/ })
  writeFileSync(join(home, 'bin/kubectl'), '#!/bin/sh\necho "error: no configuration" >&2\nexit 1\n')
  t.match(await logs(), {
    code: cliExitCodes.runtime,
    stderr: /error: no configuration\nerror: kubectl cannot list the pods/,
  })
})

await test('with -f pods that come later are followed too, one whose stream ends is opened again, and Ctrl-C ends it', async (t) => {
  const home = t.testdir({
    bin: { kubectl },
    'pods.json': JSON.stringify({ items: [pod('gone')] }),
    'gone.log': 'first\n',
    'late.log': 'here too\n',
  })
  chmodSync(join(home, 'bin/kubectl'), 0o755)
  const env = { PATH: `${join(home, 'bin')}:${process.env.PATH ?? ''}`, HOME: home }
  const following = start(t, ['logs', 'shop', '-f'], { cwd: home, env })
  await eventually(() => following.output().includes('gone first'), following.output)
  writeFileSync(join(home, 'pods.json'), JSON.stringify({ items: [pod('gone'), pod('late')] }))
  await eventually(() => following.output().includes('late here too'), following.output)
  await eventually(() => readFileSync(join(home, 'calls'), 'utf8').includes('--since-time='), following.output)
  following.kill('SIGINT')
  t.match(await following.ended, { code: 130 })
})
