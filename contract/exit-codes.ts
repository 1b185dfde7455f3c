// Exit codes of the agents. init-fetch adds one a reason (reasons.ts), all from 10 on.
export const exitCodes = {
  ok: 0,
  /** A signature that does not hold (ed25519-verify), or a fault of ours. */
  failed: 1,
  /** Wrong flags or environment. */
  usage: 2,
} as const
