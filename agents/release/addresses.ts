// What an IP address reaches, by the registries of special addresses (RFC 6890). An IPv6 address that carries an IPv4 one
// reaches no more than that: ::ffff:127.0.0.1 is loopback.
import { BlockList, isIPv4 } from 'node:net'

/** `guarded` is the machine itself, its link, its cloud's metadata, and what is no single machine. */
export type Reach = 'public' | 'private' | 'guarded'

const privateRanges = lazyRanges([
  '10.0.0.0/8',
  '100.64.0.0/10', // RFC 6598; some clusters number their pods so
  '172.16.0.0/12',
  '192.168.0.0/16',
  '198.18.0.0/15',
  'fc00::/7',
  'fec0::/10',
])

const guardedRanges = lazyRanges([
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16', // the metadata of most clouds
  '192.0.0.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '100.100.100.200/32', // metadata of Alibaba Cloud
  '168.63.129.16/32', // of Azure
  '::/128',
  '::1/128',
  '64:ff9b:1::/48', // RFC 8215: where the IPv4 address is in it, only its network knows
  'fd00:ec2::254/128', // of AWS
  'fe80::/10',
  'ff00::/8',
])

/** `address` is one as the resolver gives it; a zone (%eth0) counts for nothing. */
export function reachOf(address: string): Reach {
  const bare = address.replace(/%.*$/, '')
  const carried = isIPv4(bare) ? undefined : carriedBy(bare)
  return stricter(ownReach(bare), carried === undefined ? 'public' : ownReach(carried))
}

function ownReach(address: string): Reach {
  const family = isIPv4(address) ? 'ipv4' : 'ipv6'
  if (guardedRanges().check(address, family)) return 'guarded'
  return privateRanges().check(address, family) ? 'private' : 'public'
}

function stricter(one: Reach, other: Reach): Reach {
  if (one === 'guarded' || other === 'guarded') return 'guarded'
  return one === 'private' || other === 'private' ? 'private' : 'public'
}

/** The IPv4 address in an IPv6 one. */
function carriedBy(address: string): string | undefined {
  const groups = groupsOf(address)
  const [first = 0, second = 0, third = 0] = groups
  const [high = 0, low = 0] = groups.slice(6)
  const prefix = groups.slice(0, 6).join()
  if (first === 0x2002) return dotted(second, third) // 6to4, RFC 3056
  if (first === 0x2001 && second === 0) return dotted(high ^ 0xffff, low ^ 0xffff) // Teredo, RFC 4380
  const prefixes = ['0,0,0,0,0,0', '0,0,0,0,0,65535', '0,0,0,0,65535,0', '100,65435,0,0,0,0'] // the last is NAT64, RFC 6052
  return prefixes.includes(prefix) ? dotted(high, low) : undefined
}

/** The eight numbers of an IPv6 address, by way of the URL parser, which writes each address in one form. */
function groupsOf(address: string): readonly number[] {
  const written = new URL(`http://[${address}]/`).hostname.slice(1, -1)
  const [head = '', tail] = written.split('::')
  const numbers = (text: string) => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)))
  if (tail === undefined) return numbers(head)
  const [before, after] = [numbers(head), numbers(tail)]
  return [...before, ...Array.from({ length: 8 - before.length - after.length }, () => 0), ...after]
}

function dotted(high: number, low: number): string {
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}

/** Made with the first address that is asked about: an idle agent asks about none. */
function lazyRanges(subnets: readonly string[]): () => BlockList {
  let made: BlockList | undefined
  return () => {
    made ??= createRanges(subnets)
    return made
  }
}

function createRanges(subnets: readonly string[]): BlockList {
  const list = new BlockList()
  for (const subnet of subnets) {
    const [address = '', bits = ''] = subnet.split('/')
    list.addSubnet(address, Number(bits), isIPv4(address) ? 'ipv4' : 'ipv6')
  }
  return list
}
