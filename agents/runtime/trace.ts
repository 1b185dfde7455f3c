// Spans to an OpenTelemetry collector, OTLP over HTTP as JSON (https://opentelemetry.io/docs/specs/otlp/#otlphttp), by the
// usual variables. Without them there is no tracer, and nothing is made or kept.
import { randomBytes } from 'node:crypto'
import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { TraceContext } from '@aether/contract/traceparent'
import type { Log } from './log.ts'
import type { TraceOptions } from './trace-options.ts'

export interface Span {
  readonly name: string
  /** performance.now() of its start and end. */
  readonly from: number
  readonly to: number
  readonly attributes?: Readonly<Record<string, string | number | boolean>>
  /** Why it failed. */
  readonly error?: string
}

export interface Tracer {
  /** Sends spans, in the background: `root` below `parent` or in a trace of its own, and `parts` below it. */
  send(parent: TraceContext | undefined, root: Span, parts: readonly Span[]): void
  /** Resolves when what is under way has arrived or was given up. */
  close(): Promise<void>
}

const timeoutMs = 5000
/** More than these under way, and the next are lost: a collector that is away holds nothing up. */
const mostUnderWay = 16

export function createTracer(service: string, { url, headers }: TraceOptions, log: Log): Tracer {
  const underWay = new Set<Promise<void>>()
  let hasWarned = false

  function post(body: string): Promise<void> {
    return new Promise((resolve) => {
      const lost = (why: string) => {
        if (!hasWarned) log.warn({ why }, 'traces do not reach the collector (said once)')
        hasWarned = true
        resolve()
      }
      const send = url.startsWith('https:') ? requestHttps : requestHttp
      const sent = send(
        url,
        {
          method: 'POST',
          agent: false,
          timeout: timeoutMs,
          headers: { ...headers, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
        },
        (response) => {
          response.resume()
          response.on('close', () => {
            if (response.statusCode === 200) resolve()
            else lost(`it answers ${response.statusCode}`)
          })
        },
      )
      sent.on('timeout', () => sent.destroy(new Error(`no answer in ${timeoutMs} ms`)))
      sent.on('error', (error) => lost(error.message))
      sent.end(body)
    })
  }

  return {
    send(parent, root, parts) {
      if (parent?.isSampled === false || underWay.size >= mostUnderWay) return
      const traceId = parent?.traceId ?? randomBytes(16).toString('hex')
      const spanId = randomBytes(8).toString('hex')
      const above = parent === undefined ? {} : { parentSpanId: parent.spanId }
      const below = { parentSpanId: spanId }
      const spans = [
        toOtlp(root, { traceId, spanId, ...above }),
        ...parts.map((part) => toOtlp(part, { traceId, spanId: randomBytes(8).toString('hex'), ...below })),
      ]
      const resource = { attributes: toAttributes({ 'service.name': service }) }
      const body = JSON.stringify({ resourceSpans: [{ resource, scopeSpans: [{ scope: { name: 'aether' }, spans }] }] })
      const one = post(body).then(() => void underWay.delete(one))
      underWay.add(one)
    },
    async close() {
      await Promise.all(underWay)
    },
  }
}

function toOtlp({ name, from, to, attributes, error }: Span, ids: Readonly<Record<string, string>>): object {
  return {
    ...ids,
    name,
    kind: 1, // SPAN_KIND_INTERNAL
    startTimeUnixNano: toUnixNano(from),
    endTimeUnixNano: toUnixNano(to),
    attributes: toAttributes(attributes ?? {}),
    status: error === undefined ? { code: 1 } : { code: 2, message: error },
  }
}

/** Nanoseconds do not fit a number: as text, as OTLP's JSON has 64-bit integers. */
function toUnixNano(at: number): string {
  return String(BigInt(Math.round((performance.timeOrigin + at) * 1000)) * 1000n)
}

function toAttributes(all: Readonly<Record<string, string | number | boolean>>): readonly object[] {
  return Object.entries(all).map(([key, value]) => ({ key, value: toValue(value) }))
}

function toValue(value: string | number | boolean): object {
  if (typeof value === 'string') return { stringValue: value }
  return typeof value === 'boolean' ? { boolValue: value } : { doubleValue: value }
}
