// What a command ends with when it cannot do its work: what happened, the next step, and the exit code by its kind.
import { cliExitCodes } from '@aether/contract/exit-codes'

export type FailureKind = Exclude<keyof typeof cliExitCodes, 'ok'>

export interface FailureOptions extends ErrorOptions {
  /** What to do now: one line, a command where there is one. */
  readonly next?: string
  /** Of control's answer. */
  readonly code?: string | undefined
  readonly field?: string | undefined
  readonly requestId?: string | undefined
  /** Last lines of a program that failed. */
  readonly detail?: readonly string[]
}

export class Failure extends Error {
  override readonly name = 'Failure'
  readonly kind: FailureKind
  readonly next: string | undefined
  readonly code: string | undefined
  readonly field: string | undefined
  readonly requestId: string | undefined
  readonly detail: readonly string[]

  constructor(kind: FailureKind, message: string, options: FailureOptions = {}) {
    super(message, options)
    this.kind = kind
    this.next = options.next
    this.code = options.code
    this.field = options.field
    this.requestId = options.requestId
    this.detail = options.detail ?? []
  }
}

/** Anything that was thrown, as a Failure: a fault of the file system is `io`, the rest a fault of ours. */
export function toFailure(error: unknown): Failure {
  if (error instanceof Failure) return error
  const code = errnoOf(error)
  const message = error instanceof Error ? error.message : String(error)
  if (code !== undefined && isFileFault(error))
    return new Failure('io', message, { cause: error, code, next: nextSteps[code] ?? 'check the path and the disk' })
  return new Failure('failed', `${message} (a fault of aether itself)`, {
    cause: error,
    next: 'run it again with --debug and report what it prints',
  })
}

/** The code of a fault of the operating system, such as ENOENT. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

function isFileFault(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && ('path' in error || errnoOf(error) === 'ENOSPC')
}

const nextSteps: Readonly<Record<string, string>> = {
  ENOENT: 'check the path',
  EACCES: 'check who may read and write there',
  EPERM: 'check who may read and write there',
  EROFS: 'write to another folder by --out',
  ENOSPC: 'make room on the disk',
  EDQUOT: 'make room on the disk',
}
