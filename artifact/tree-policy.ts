// Which entries an archive may have. Keeps the tree so far in mind and resolves links in it as the kernel would, so a
// chain of links that leaves the release is refused whatever the order of its parts.
import { refusal } from '@aether/contract/reasons'

export interface TreeLimits {
  readonly maxEntries: number
  readonly maxDepth: number
  readonly maxPathBytes: number
  /** Refuses names that a disk which ignores case or Unicode forms would take for one. */
  readonly refuseCollisions: boolean
  /** Names looked up for all links together, where less is to be spent than an agent would. */
  readonly maxLinkSteps?: number
}

type Node = { readonly kind: 'file' } | { readonly kind: 'folder' } | { readonly kind: 'link'; readonly to: string }

export interface TreePolicy {
  /** Admits a folder, file, symlink or hard link; answers its clean path ('' is the root) and whether it is new. */
  admitFolder(path: string): { readonly path: string; readonly isNew: boolean }
  admitFile(path: string): string
  admitSymlink(path: string, to: string): string
  /** A hard link goes to an earlier regular file only; answers both clean paths. */
  admitHardLink(path: string, to: string): { readonly path: string; readonly to: string }
  /** To be called at the end: a link may have begun to escape by a later one. */
  finish(): void
}

const maxLinkHops = 40 // as the kernel's MAXSYMLINKS, path_resolution(7)
const usualLinkSteps = 50_000_000 // names looked up for all links together: seconds, whatever the archive

export function createTreePolicy(limits: TreeLimits): TreePolicy {
  const nodes = new Map<string, Node>()
  const folded = new Map<string, string>()
  const { maxLinkSteps = usualLinkSteps } = limits
  let linkSteps = 0

  function admit(path: string, node: Node): void {
    if (nodes.has(path)) throw refusal('extract', 'duplicate', `${show(path)} stands twice in the archive`)
    admitParents(path)
    addNode(path, node)
    if (nodes.size > limits.maxEntries)
      throw refusal(
        'extract',
        'limit',
        `the archive has more than ${limits.maxEntries} entries at ${show(path)}: raise AETHER_MAX_ENTRIES if that is right`,
      )
  }
  function addNode(path: string, node: Node): void {
    nodes.set(path, node)
    if (!limits.refuseCollisions) return
    const key = foldName(path)
    const other = folded.get(key)
    if (other !== undefined)
      throw refusal(
        'extract',
        'duplicate',
        `${show(path)} and ${show(other)} differ only in case or Unicode form, which AETHER_REFUSE_NAME_COLLISIONS forbids`,
      )
    folded.set(key, path)
  }
  function admitParents(path: string): void {
    for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) {
      const parent = path.slice(0, at)
      const found = nodes.get(parent)
      if (found === undefined) addNode(parent, { kind: 'folder' })
      else if (found.kind !== 'folder')
        throw refusal(
          'extract',
          'path_escape',
          `${show(path)} lies below ${show(parent)}, which is a ${found.kind} and no folder`,
        )
    }
  }
  /** Where a link at `path` leads; throws where a step leaves the root. What does not exist is taken as it is written. */
  function resolve(path: string, to: string): void {
    const rest = to.split('/').toReversed()
    const at = path.split('/').slice(0, -1)
    for (let hops = 0; ; ) {
      const name = rest.pop()
      if (name === undefined) return
      if (name === '' || name === '.') continue
      if (name === '..') {
        if (at.pop() === undefined)
          throw refusal('extract', 'link_escape', `${show(path)} is a symlink to ${show(to)}, which leaves the release`)
        continue
      }
      at.push(name)
      linkSteps += at.length
      if (linkSteps > maxLinkSteps)
        throw refusal(
          'extract',
          'limit',
          `the links of the archive take too long to follow: the last was ${show(path)}`,
        )
      const node = nodes.get(at.join('/'))
      if (node?.kind !== 'link') continue
      if (++hops > maxLinkHops) return // ELOOP: it leads nowhere
      at.pop()
      rest.push(...node.to.split('/').toReversed())
    }
  }

  return {
    admitFolder(written) {
      const path = clean(written, limits)
      if (path === '') return { path, isNew: false }
      if (nodes.get(path)?.kind === 'folder') return { path, isNew: false }
      admit(path, { kind: 'folder' })
      return { path, isNew: true }
    },
    admitFile(written) {
      const path = cleanName(written, limits)
      admit(path, { kind: 'file' })
      return path
    },
    admitSymlink(written, to) {
      const path = cleanName(written, limits)
      if (to === '' || to.startsWith('/') || hasControl(to))
        throw refusal(
          'extract',
          'link_escape',
          `${show(path)} is a symlink to ${show(to)}: only relative ones inside the release are taken`,
        )
      if (Buffer.byteLength(to) > limits.maxPathBytes)
        throw refusal(
          'extract',
          'limit',
          `${show(path)} is a symlink to a path of more than ${limits.maxPathBytes} bytes (AETHER_MAX_PATH_BYTES)`,
        )
      admit(path, { kind: 'link', to })
      resolve(path, to)
      return path
    },
    admitHardLink(written, writtenTo) {
      const path = cleanName(written, limits)
      const to = cleanName(writtenTo, limits)
      // The kernel takes a trailing slash for a folder.
      if (writtenTo.endsWith('/'))
        throw refusal(
          'extract',
          'link_escape',
          `${show(path)} is a hard link to ${show(writtenTo)}, which names a folder`,
        )
      if (nodes.get(to)?.kind !== 'file')
        throw refusal(
          'extract',
          'link_escape',
          `${show(path)} is a hard link to ${show(to)}, which is no earlier file of the archive`,
        )
      admit(path, { kind: 'file' })
      return { path, to }
    },
    finish() {
      for (const [path, node] of nodes) if (node.kind === 'link') resolve(path, node.to)
    },
  }
}

function cleanName(written: string, limits: TreeLimits): string {
  const path = clean(written, limits)
  if (path === '') throw refusal('extract', 'path_escape', `${show(written)} names the root of the release`)
  if (/\/\.\/*$/.test(written))
    throw refusal('extract', 'unsupported_entry', `${show(written)} is the name of a folder, and the entry is none`)
  return path
}

/** Without `.` and empty segments; refuses absolute names, `..`, control characters and names the kernel would not take. */
function clean(written: string, limits: TreeLimits): string {
  if (written === '' || hasControl(written))
    throw refusal('extract', 'unsupported_entry', `${show(written)} is empty or has control characters`)
  if (written.startsWith('/')) throw refusal('extract', 'path_escape', `${show(written)} is an absolute name`)
  const parts = written.split('/').filter((part) => part !== '' && part !== '.')
  if (parts.includes('..')) throw refusal('extract', 'path_escape', `${show(written)} leaves the release by ..`)
  if (parts.length > limits.maxDepth)
    throw refusal('extract', 'limit', `${show(written)} is deeper than ${limits.maxDepth} folders (AETHER_MAX_DEPTH)`)
  if (parts.some((part) => Buffer.byteLength(part) > 255))
    // NAME_MAX
    throw refusal('extract', 'limit', `${show(written)} has a name of more than 255 bytes`)
  const path = parts.join('/')
  if (Buffer.byteLength(path) > limits.maxPathBytes)
    throw refusal(
      'extract',
      'limit',
      `${show(path)} is a path of more than ${limits.maxPathBytes} bytes (AETHER_MAX_PATH_BYTES)`,
    )
  return path
}

function hasControl(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return /[\u0000-\u001f\u007f-\u009f]/.test(text)
}

function foldName(path: string): string {
  return path.normalize('NFD').toUpperCase().toLowerCase().normalize('NFC')
}

function show(path: string): string {
  return JSON.stringify(path.length <= 120 ? path : `${path.slice(0, 120)}...`)
}
