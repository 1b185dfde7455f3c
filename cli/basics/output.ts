// What a person or a pipeline sees. As text, results go to stdout, warnings and errors to stderr; as JSON, stdout has one
// object and nothing else, `aether dev` one a line.
import pico from 'picocolors'
import type { Failure } from './failure.ts'

export type Colours = ReturnType<typeof pico.createColors>

export interface Output {
  readonly isJson: boolean
  readonly colours: Colours
  /** A line for people. */
  line(text?: string): void
  warn(text: string): void
  /** Replaces the line on the terminal; where there is none, nothing. An empty text takes it away. */
  transient(text: string): void
  result(value: Readonly<Record<string, unknown>>): void
  failure(failure: Failure): void
}

export interface Streams {
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
}

export function createOutput(
  { stdout, stderr }: Streams,
  options: { readonly isJson: boolean; readonly noColour: boolean; readonly withStack: boolean },
): Output {
  const { isJson } = options
  const people = isJson ? stderr : stdout
  const coloursFor = (stream: NodeJS.WriteStream) => pico.createColors(stream.isTTY && !options.noColour)
  const colours = coloursFor(people)
  const warnColours = coloursFor(stderr)
  let isTransient = false
  const transient = (text: string) => {
    if (!stderr.isTTY || (text === '' && !isTransient)) return
    stderr.write(`\r\u001b[K${text.slice(0, stderr.columns - 1)}`)
    isTransient = text !== ''
  }
  const write = (stream: NodeJS.WriteStream, text: string) => {
    transient('')
    stream.write(`${text}\n`)
  }
  return {
    isJson,
    colours,
    line: (text = '') => write(people, printable(text)),
    warn: (text) => write(stderr, `${warnColours.yellow('warning:')} ${printable(text)}`),
    transient,
    result(value) {
      if (isJson) write(stdout, JSON.stringify(value))
    },
    failure(failure) {
      if (isJson) write(stdout, JSON.stringify({ error: toRecord(failure) }))
      for (const line of failure.detail) write(stderr, `  ${warnColours.dim(printable(line))}`)
      write(stderr, `${warnColours.red('error:')} ${printable(failure.message)}${labels(failure)}`)
      if (failure.next !== undefined) write(stderr, `${warnColours.cyan('next:')} ${printable(failure.next)}`)
      if (options.withStack) for (const text of stacksOf(failure)) write(stderr, warnColours.dim(text))
    },
  }
}

/** What control, npm or an app wrote must not move the cursor; colours of ours may stay. */
function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return text.replaceAll(/[\u0000-\u0008\u000b-\u001a\u001c-\u001f\u007f-\u009f]|\u001b(?!\[\d+m)/g, '?')
}

function labels({ code, field, requestId }: Failure): string {
  const parts = [code, field && `field ${field}`, requestId && `request ${requestId}`].filter(Boolean)
  return parts.length === 0 ? '' : printable(` (${parts.join(', ')})`)
}

function toRecord({ kind, message, next, code, field, requestId, detail }: Failure) {
  return {
    kind,
    message,
    next: next ?? null,
    code: code ?? null,
    field: field ?? null,
    request_id: requestId ?? null,
    detail,
  }
}

function stacksOf(error: unknown): readonly string[] {
  if (!(error instanceof Error)) return typeof error === 'string' ? [error] : []
  return [error.stack ?? error.message, ...stacksOf(error.cause)]
}
