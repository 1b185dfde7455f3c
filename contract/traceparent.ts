// W3C Trace Context, traceparent (https://www.w3.org/TR/trace-context/#traceparent-header): what one refresh, from the
// pipeline that asked for it to the new process, is found by.

export interface TraceContext {
  /** 32 lowercase hex characters, not all zero. */
  readonly traceId: string
  /** 16 lowercase hex characters, not all zero: the parent of what follows. */
  readonly spanId: string
  readonly isSampled: boolean
}

/** `undefined` where there is none or it is malformed: a wrong trace is no reason to refuse a release. */
export function parseTraceparent(text: string | null | undefined): TraceContext | undefined {
  const [, version, traceId = '', spanId = '', flags = '', more] =
    /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(text?.trim() ?? '') ?? []
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return undefined
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 }
}

export function formatTraceparent({ traceId, spanId, isSampled }: TraceContext): string {
  return `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`
}
