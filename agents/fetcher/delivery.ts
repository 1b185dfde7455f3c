// What a source puts into the mailbox: the annotations' target, or why they make none.
import { type ReasonError, toReasonError } from '@aether/contract/reasons'
import { type Asked, parseTarget } from '@aether/contract/target'

export interface Delivery {
  readonly asked: Asked
  readonly fault: ReasonError | undefined
  /** Our annotations, sorted: the same text means that nothing was written since. */
  readonly annotations: Readonly<Record<string, string>>
  readonly key: string
  /** performance.now() of the event. */
  readonly at: number
}

export function createDelivery(all: Readonly<Record<string, string>>, at: number): Delivery {
  const ours = Object.entries(all)
    .filter(([name]) => name.startsWith('aether.dev/'))
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
  const common = { annotations: Object.fromEntries(ours), key: JSON.stringify(ours), at }
  try {
    return { ...common, asked: parseTarget(all), fault: undefined }
  } catch (error) {
    return { ...common, asked: undefined, fault: toReasonError(error) }
  }
}
