// Where traces go, by the usual variables (https://opentelemetry.io/docs/specs/otel/protocol/exporter/). Apart from trace.ts, which
// is loaded only where they are set.
import type { ConfigReader } from './config.ts'

export interface TraceOptions {
  /** Whole URL that traces are sent to. */
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
}

/** `undefined` where no endpoint is named: then nothing is traced. */
export function readTraceOptions(read: ConfigReader): TraceOptions | undefined {
  const base = read.optionalUrl(
    'OTEL_EXPORTER_OTLP_ENDPOINT',
    'OpenTelemetry collector, OTLP over HTTP (JSON, port 4318 as a rule): one trace for each refresh is sent there.',
  )
  const whole = read.optionalUrl('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'The same for traces alone, as a whole URL.')
  const headers = read.parsed(
    'OTEL_EXPORTER_OTLP_HEADERS',
    'NAME=VALUE,...',
    parseHeaders,
    'Headers sent along, as for a key.',
  )
  const url = whole ?? (base === undefined ? undefined : `${base}/v1/traces`)
  return url === undefined ? undefined : { url, headers: headers ?? {} }
}

/** As W3C Baggage writes them: values are percent-encoded. */
function parseHeaders(text: string): Readonly<Record<string, string>> {
  const pairs = text.split(',').filter((pair) => pair.trim() !== '')
  return Object.fromEntries(
    pairs.map((pair) => {
      const [, name, value] = /^\s*([A-Za-z0-9!#$%&'*+.^_`|~-]+)\s*=\s*([\x21-\x7e]*)\s*$/.exec(pair) ?? []
      if (name === undefined || value === undefined) throw new Error('write pairs of name=value with commas between')
      return [name, decodeURIComponent(value)]
    }),
  )
}
