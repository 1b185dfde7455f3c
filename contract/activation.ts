// activation.json: which activation `current` stands for. The id grows by one each time, so A-B-A is three activations.
import { type Digest, parseDigest } from './digest.ts'
import { parseFields } from './json.ts'

export interface Activation {
  readonly id: number
  readonly digest: Digest
  /** The release before it; null for the first. */
  readonly previous: Digest | null
  /** ISO 8601, UTC. */
  readonly at: string
  /** Short commit of the build where the annotations name one. */
  readonly commit: string | null
  /** The files of a release that may be running were put right: a process of the same digest is replaced too. */
  readonly repaired: boolean
}

export function formatActivation(activation: Activation): string {
  return `${JSON.stringify(activation)}\n`
}

/** Throws a RecordError or ReasonError where the text is no activation. */
export function parseActivation(json: string): Activation {
  const fields = parseFields(json, 'activation.json')
  const previous = fields.textOrNull('previous')
  return {
    id: fields.count('id'),
    digest: parseDigest(fields.text('digest'), 'activation.json: digest'),
    previous: previous === null ? null : parseDigest(previous, 'activation.json: previous'),
    at: fields.text('at'),
    commit: fields.textOrNull('commit'),
    repaired: fields.isTrue('repaired'),
  }
}
