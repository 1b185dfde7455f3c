// Which place `aether dev` runs in, and which flags mean nothing there.
import { Failure } from '../basics/failure.ts'
import type { Flags } from '../basics/flags.ts'
import type { PlaceKind } from '../basics/settings.ts'

const flagsOf: Readonly<Record<PlaceKind, readonly string[]>> = {
  control: ['environment', 'replicas', 'port', 'ready-path', 'env', 'namespace', 'url'],
  pods: ['namespace', 'context'],
  local: ['port', 'ready-path', 'env'],
}

/** By flag, else by `.aether.json`, else control. */
export function choosePlace(flags: Flags, asked: PlaceKind | undefined): PlaceKind {
  const said = (['local', 'pods'] as const).filter((name) => flags.isSet(name))
  const [first = asked ?? 'control', second] = said
  if (second === undefined) return first
  throw new Failure('usage', '--local and --pods are two places', { next: 'name one of them' })
}

export function refuseStrangeFlags(flags: Flags, kind: PlaceKind): void {
  const names = new Set(Object.values(flagsOf).flat())
  for (const name of flagsOf[kind]) names.delete(name)
  const strange = [...names].find((name) => flags.text(name) !== undefined || flags.list(name).length > 0)
  if (strange === undefined) return
  const where = kind === 'local' ? 'with --local' : kind === 'pods' ? 'with --pods' : 'with a control'
  throw new Failure('usage', `--${strange} means nothing ${where}`, {
    next: kind === 'pods' ? "leave it out: it is the pods' own business" : 'leave it out',
  })
}
