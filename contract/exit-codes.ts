// Exit codes of the agents. init-fetch adds one a reason (reasons.ts), all from 10 on.
export const exitCodes = {
  ok: 0,
  /** A signature that does not hold (ed25519-verify), or a fault of ours. */
  failed: 1,
  /** Wrong flags or environment. */
  usage: 2,
} as const

/** Exit codes of `aether`. */
export const cliExitCodes = {
  ok: 0,
  /** What was asked for did not come about: a refusal of control, a release that failed. */
  failed: 1,
  /** Wrong command, argument or flag. */
  usage: 2,
  /** A wrong value in the environment or a configuration file, or a token that is not taken. */
  config: 10,
  /** A program that was needed failed or is missing: npm, git, kubectl. */
  runtime: 20,
  /** A file or folder could not be read or written. */
  io: 30,
  /** Control could not be reached, or is not ready to answer. */
  network: 40,
} as const
