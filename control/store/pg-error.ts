// What PostgreSQL, its driver and the network say, as errors of the table. The SQLSTATEs are those of appendix A of its
// manual.
import { DatabaseError } from 'pg'
import { ControlError } from '../domain/errors.ts'

/** Passes on a ControlError, and what it does not know: that is a fault of ours. */
export function toControlError(error: unknown): unknown {
  if (error instanceof ControlError || error instanceof TypeError || error instanceof RangeError) return error
  if (!(error instanceof DatabaseError)) return unavailable(error)
  const { code = '', constraint = '' } = error
  // The row and the text that was wrong: they may have secrets of an app's environment, and errors are logged.
  error.detail = undefined
  error.where = undefined
  const options = { cause: error }
  if (isDown(code)) return unavailable(error)
  if (code === '23505') return new ControlError('conflict', conflictOf(constraint), options)
  if (code === '23503' && constraint.endsWith('_app_fkey'))
    return new ControlError('unknown_app', 'there is no such app: create it first', options)
  if (code === '23503')
    return new ControlError('not_found', `what this belongs to is not there (${constraint})`, options)
  // A NUL, or half of a surrogate pair: PostgreSQL's text holds neither.
  if (code === '22021' || code === '22P05' || code === '22P02')
    return new ControlError('malformed', 'a text has a character that cannot be stored: send it without', options)
  return error
}

/** Whether the connection is of no use any more, whatever became of the statement. */
export function isConnectionLost(error: unknown): boolean {
  if (error instanceof ControlError) return false
  return !(error instanceof DatabaseError) || error.severity === 'FATAL' || error.severity === 'PANIC'
}

/** The driver gives up on an answer, and the server may be slow rather than gone. */
export function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.message === 'Query read timeout'
}

function isDown(code: string): boolean {
  const serverAway = code.startsWith('08') || code.startsWith('57P') || code.startsWith('58')
  const outOfResources = code.startsWith('53')
  const refusesUs = code.startsWith('28') || code === '3D000'
  // Cancelled by a timeout, lost against another transaction, read-only after a failover: all may be tried again.
  const mayBeTriedAgain = ['57014', '55P03', '25P03', '40001', '40P01', '25006'].includes(code)
  return serverAway || outOfResources || refusesUs || mayBeTriedAgain
}

function unavailable(error: unknown): ControlError {
  const said = error instanceof Error ? `${codeOf(error)}${error.message}` : String(error)
  return new ControlError(
    'database_unavailable',
    `the database does not answer (${said}): see that PostgreSQL runs and that DATABASE_URL is right; then ask again`,
    { cause: error },
  )
}

function codeOf(error: Error): string {
  if ('code' in error && typeof error.code === 'string' && !error.message.includes(error.code)) return `${error.code} `
  return ''
}

function conflictOf(constraint: string): string {
  if (constraint === 'deployments_live')
    return 'the app has a deployment in this namespace that is not stopped: change that one, or stop it first'
  return `it is there already (${constraint})`
}
