// Stage 1. The signature covers the digest, so it is verified before a byte is asked for: by node:crypto, at once. What
// noble says is asked while the first request is under way, and before anything is staged (docs/adr/0022).
import { annotations } from '@aether/contract/annotations'
import { ReasonError, refusal, toReasonError } from '@aether/contract/reasons'
import type { Target } from '@aether/contract/target'
import type { Keyring } from '@aether/verifier/keyring'
import {
  isDevelopmentSignature,
  type Presumed,
  parseSignature,
  presumeDevelopment,
  presumeSignature,
} from '@aether/verifier/verify'

const verified = Symbol('signed target')

/** A target whose signature holds by the first of two words: it may be asked for, and nothing more. Only presumeTarget makes one. */
export interface PresumedTarget {
  readonly target: Target
  /** The second word, the same at each call. Throws ReasonError `signature` where the two differ. */
  confirm(): SignedTarget
}

/** A target whose signature holds, or that the policy takes unsigned. Only `confirm` makes one. */
export interface SignedTarget {
  readonly target: Target
  /** Id of the key; undefined where the policy took it unsigned. */
  readonly keyId: string | undefined
  readonly warnings: readonly string[]
  readonly [verified]: true
}

export interface SignaturePolicy {
  /** False takes a target with no signature, with a warning each time. A signature that is there must hold all the same. */
  readonly requireSignature: boolean
  /** Whether a signature of a development key counts. */
  readonly takesDevelopment: boolean
  readonly keyring: Keyring | undefined
}

/** `before` is the target that was served until now: it tells a forgotten signature from a forged one. */
export async function presumeTarget(target: Target, policy: SignaturePolicy, before?: Target): Promise<PresumedTarget> {
  if (target.signature === undefined) {
    if (!policy.requireSignature) return unsigned(target)
    throw refusal(
      'signature',
      'missing',
      `${annotations.signature} is missing and signatures are required: sign ${target.digest} and write the signature in the same annotate`,
    )
  }
  if (policy.keyring === undefined) {
    if (!policy.requireSignature) return unsigned(target)
    throw refusal(
      'key',
      'missing',
      'signatures are required and no key is configured: set AETHER_PUBKEY, or AETHER_REQUIRE_SIGNATURE=false for development',
    )
  }
  const isDevelopment = policy.takesDevelopment && isDevelopmentSignature(target.signature)
  const found = await policy.keyring.load().catch((error: unknown) => {
    const isMissing = error instanceof ReasonError && error.reason === 'key' && error.detail === 'missing'
    if (!isMissing || !isDevelopment || policy.requireSignature) throw error
  })
  if (found === undefined) return unsigned(target)
  const { keys, faults } = found
  const warnings = faults.map((fault) => fault.message)
  const { digest, signature: text } = target
  const field = annotations.signature
  const signature = isDevelopment ? undefined : parseSignature(text, field)
  let presumed: Presumed
  try {
    presumed =
      signature === undefined
        ? presumeDevelopment(digest, text, field, keys)
        : presumeSignature(digest, signature, keys)
  } catch (error) {
    throw forgotten(target, before) ?? toReasonError(error)
  }
  let signed: SignedTarget | undefined
  const confirm = () => {
    signed ??= { target, keyId: presumed.confirm().id, warnings, [verified]: true }
    return signed
  }
  return { target, confirm }
}

function unsigned(target: Target): PresumedTarget {
  const warning = 'the target is taken without a verified signature, because AETHER_REQUIRE_SIGNATURE=false'
  const signed = { target, keyId: undefined, warnings: [warning], [verified]: true } as const
  return { target, confirm: () => signed }
}

function forgotten(target: Target, before: Target | undefined) {
  if (before === undefined || before.signature !== target.signature || before.digest === target.digest) return undefined
  return refusal(
    'signature',
    'stale',
    `${annotations.digest} changed to ${target.digest} and ${annotations.signature} is still the one of ${before.digest}: sign the new digest and write both in one annotate`,
  )
}
