// From which commit, and of when: so that two builds of one commit are one image, and an image tells where it is from.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'

export type Provenance = {
  /** RFC 3339: SOURCE_DATE_EPOCH, else the time of the commit, else 1970. */
  readonly created: string
  readonly annotations: Readonly<Record<string, string>>
}

/** `source` is where people find the code: never what `git remote` says, since that differs from clone to clone. */
export async function loadProvenance(
  root: string,
  epoch: number | undefined,
  source: string | undefined,
): Promise<Provenance> {
  const about: { version: string; license: string; repository?: { url?: string } } = JSON.parse(
    await readFile(join(root, 'package.json'), 'utf8'),
  )
  const commit = await lastCommit(root)
  const home = source ?? about.repository?.url
  return {
    created: new Date((epoch ?? commit?.time ?? 0) * 1000).toISOString().replace('.000Z', 'Z'),
    annotations: {
      'org.opencontainers.image.version': about.version,
      'org.opencontainers.image.licenses': about.license,
      ...(home !== undefined && { 'org.opencontainers.image.source': home }),
      ...(commit !== undefined && { 'org.opencontainers.image.revision': commit.revision }),
    },
  }
}

/** Undefined outside a repository; `-dirty` where files that git tracks are not as they were committed. */
async function lastCommit(root: string): Promise<{ readonly revision: string; readonly time: number } | undefined> {
  const git = (...args: string[]) =>
    execa('git', args, { cwd: root, reject: false, stdin: 'ignore', env: { GIT_OPTIONAL_LOCKS: '0' } })
  const log = await git('log', '-1', '--format=%H %ct')
  const [, revision, time] = /^([0-9a-f]{40,64}) (\d+)$/.exec(log.stdout) ?? []
  if (revision === undefined || time === undefined) return undefined
  const { stdout } = await git('status', '--porcelain', '--untracked-files=no')
  return { revision: stdout === '' ? revision : `${revision}-dirty`, time: Number(time) }
}
