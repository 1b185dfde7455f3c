// An error as the fields of a log line, as pino writes it: its causes are in message and stack, and what else it carries beside.

const deepest = 8

/** `type`, `message`, `stack`, and its own fields; those of an AggregateError in `aggregateErrors`. */
export function errorFields(error: Error, depth = 0): Readonly<Record<string, unknown>> {
  const causes = causesOf(error)
  const inner = (value: unknown) => (value instanceof Error && depth < deepest ? errorFields(value, depth + 1) : value)
  const fields: Record<string, unknown> = {
    type: error.constructor.name,
    message: [error, ...causes].map(({ message }) => message).join(': '),
    stack: [error, ...causes].map(({ stack, message }) => stack ?? message).join('\ncaused by: '),
  }
  if (error instanceof AggregateError) fields.aggregateErrors = error.errors.map(inner)
  for (const [name, value] of Object.entries(error)) if (name !== 'cause') fields[name] ??= inner(value)
  return fields
}

function causesOf(error: Error): readonly Error[] {
  const causes: Error[] = []
  for (let cause = error.cause; cause instanceof Error && causes.length < deepest; cause = cause.cause)
    causes.push(cause)
  return causes
}
