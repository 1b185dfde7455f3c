// RFC 9110, 10.2.3: seconds, or a date.

/** Milliseconds that a server asks to be left alone, at most `mostMs`; 0 where it says nothing. */
export function parseRetryAfter(header: string | readonly string[] | undefined, mostMs: number): number {
  if (typeof header !== 'string') return 0
  const ms = /^\d{1,9}$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now()
  return ms > 0 ? Math.min(ms, mostMs) : 0
}
