// How often a listening queue of this machine was full (TcpExt ListenOverflows in /proc/net/netstat, since the boot):
// whoever connects then sends its SYN again after a second.
import { readFileSync } from 'node:fs'

export function readListenQueue(): number {
  const [names = '', values = ''] = readFileSync('/proc/net/netstat', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('TcpExt:'))
  const at = names.split(' ').indexOf('ListenOverflows')
  return Number(values.split(' ')[at])
}
