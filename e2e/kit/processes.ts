// What the processes of a container cost, read from /proc inside it (proc(5)): there is no shell in the images.
import { isObject } from '@aether/contract/json'
import { runInside } from './pods.ts'
import type { Scenario } from './scenario.ts'

export interface Process {
  readonly command: string
  readonly startedAtMs: number
  readonly threads: number
  readonly anonKb: number
  readonly rssKb: number
  readonly peakKb: number
}

// The start is in clock ticks (1/100 s) since boot, and so is the time now: their difference needs no clock of another machine.
const script = `
const number = (text, name) => Number(new RegExp('^' + name + ':\\\\s+(\\\\d+)', 'm').exec(text)?.[1])
const found = []
for (const pid of fs.readdirSync('/proc')) {
  if (!/^\\d+$/.test(pid) || Number(pid) === process.pid) continue
  try {
    const status = fs.readFileSync('/proc/' + pid + '/status', 'utf8')
    const stat = fs.readFileSync('/proc/' + pid + '/stat', 'utf8')
    const ticks = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19])
    const uptime = Number(fs.readFileSync('/proc/uptime', 'utf8').split(' ')[0])
    found.push({
      command: fs.readFileSync('/proc/' + pid + '/cmdline', 'utf8').split('\\0').filter(Boolean).join(' '),
      startedAtMs: Date.now() - (uptime * 1000 - ticks * 10),
      threads: number(status, 'Threads'),
      anonKb: number(status, 'RssAnon'),
      rssKb: number(status, 'VmRSS'),
      peakKb: number(status, 'VmHWM'),
    })
  } catch {}
}
console.log(JSON.stringify(found))
`

export async function readProcesses(scenario: Scenario, pod: string, container: string): Promise<readonly Process[]> {
  const list: unknown = JSON.parse(await runInside(scenario, pod, container, script))
  if (!Array.isArray(list)) throw new Error(`no list of processes from ${container} of ${pod}`)
  return list.filter(isObject).map((fields) => ({
    command: String(fields.command),
    startedAtMs: Number(fields.startedAtMs),
    threads: Number(fields.threads),
    anonKb: Number(fields.anonKb),
    rssKb: Number(fields.rssKb),
    peakKb: Number(fields.peakKb),
  }))
}
