// `Expect: 100-continue` (RFC 9110, section 10.1.1): the body is asked for when it is wanted, so that a refusal costs none.
import type { IncomingMessage, ServerResponse } from 'node:http'

const continued = new WeakSet<IncomingMessage>()

export function askForBody(request: IncomingMessage, response: ServerResponse): void {
  if (!awaitsContinue(request)) return
  continued.add(request)
  response.writeContinue()
}

/** Whether the client still holds its body back. */
export function awaitsContinue(request: IncomingMessage): boolean {
  return request.headers.expect !== undefined && !continued.has(request)
}
