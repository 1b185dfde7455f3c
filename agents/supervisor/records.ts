// What supervisor.json says at each turn of an activation.
import type { Activation } from '@aether/contract/activation'
import type { Digest } from '@aether/contract/digest'
import { isDetailOf, type ReasonError } from '@aether/contract/reasons'
import type { SupervisorState, SwapTimes } from '@aether/contract/supervisor-state'

type Changes = Partial<SupervisorState>
const noFault = { reason: null, detail: null, message: null, output: null } as const

export function takenUp({ id }: Activation, isFirst: boolean): Changes {
  return { activation: id, state: isFirst ? 'starting' : 'swapping', outcome: 'pending', swap: null, ...noFault }
}

export function nowServes({ id, digest }: Activation, refused: readonly Digest[], swap: SwapTimes | null): Changes {
  return {
    activation: id,
    digest,
    state: 'serving',
    outcome: 'ok',
    ...noFault,
    lastGood: digest,
    refused: refused.filter((one) => one !== digest),
    swap,
  }
}

/** `serving` is what serves on, where something does. */
export function isRefused(
  { id, digest }: Activation,
  { detail, message }: ReasonError,
  output: string | null,
  refused: readonly Digest[],
  serving: Digest | undefined,
): Changes {
  return {
    activation: id,
    digest: serving ?? digest,
    state: serving === undefined ? 'down' : 'serving',
    outcome: 'fail',
    reason: 'unhealthy',
    detail: isDetailOf('unhealthy', detail) ? detail : null,
    message,
    output,
    swap: null,
    refused: [...refused.filter((one) => one !== digest), digest],
  }
}

export function servesAgain({ digest }: Activation): Changes {
  return { digest, state: 'serving', lastGood: digest }
}
