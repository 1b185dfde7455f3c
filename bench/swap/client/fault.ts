// Why a request counts as failed. The first reason that is known stands.

export type FaultKind = 'refused' | 'reset' | 'truncated' | 'status' | 'malformed' | 'timeout' | 'other'

export class Fault extends Error {
  override readonly name = 'Fault'
  readonly kind: FaultKind

  constructor(kind: FaultKind, message: string, options?: ErrorOptions) {
    super(message, options)
    this.kind = kind
  }
}

export function toFault(error: unknown): Fault {
  if (error instanceof Fault) return error
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ECONNREFUSED') return new Fault('refused', 'nobody listens', { cause: error })
  if (code === 'ECONNRESET' || code === 'EPIPE')
    return new Fault('reset', `the connection broke (${code})`, { cause: error })
  return new Fault('other', String(error), { cause: error })
}
