// Why a download failed, in words that help.
import { annotations } from '@aether/contract/annotations'
import { ReasonError, refusal } from '@aether/contract/reasons'
import { redactUrl } from '@aether/contract/target'

/** `retryAfterMs` counts for a server that is busy. */
export function statusError(status: number, url: string, retryAfterMs = 0): ReasonError {
  const shown = redactUrl(url)
  if (status === 404)
    return refusal(
      'download',
      'not_found',
      `${shown} answers 404: publish the artifact there, or mend ${annotations.artifactUrl}`,
    )
  if (status === 401 || status === 403)
    return refusal('download', 'forbidden', `${shown} answers ${status}: the pod has no right to read it`)
  const isBusy = (status === 429 || status === 503) && retryAfterMs > 0
  return refusal('download', 'http_status', `${shown} answers ${status}`, isBusy ? { retryAfterMs } : {})
}

export function tooLarge(url: string, { maxArtifactBytes }: { readonly maxArtifactBytes: number }): ReasonError {
  return refusal(
    'download',
    'too_large',
    `${redactUrl(url)} is larger than ${maxArtifactBytes} bytes: raise AETHER_MAX_ARTIFACT_BYTES if that is right`,
  )
}

/** What the client threw, as a reason; a ReasonError, and what an aborted signal throws, stay what they are. */
export function downloadError(
  error: unknown,
  url: string,
  otherwise: 'unreachable' | 'truncated',
  limits: { readonly idleMs: number; readonly totalMs: number },
): unknown {
  if (error instanceof ReasonError) return error
  const { name, code, message } = describe(error)
  // A proxy that refuses a tunnel is told as UND_ERR_ABORTED; an aborted signal has no such code.
  if (name === 'AbortError' && code !== 'UND_ERR_ABORTED') return error
  const timedOut = name === 'TimeoutError' || (code.includes('TIMEOUT') && code !== 'UND_ERR_CONNECT_TIMEOUT')
  const shown = redactUrl(url)
  if (timedOut)
    return refusal(
      'download',
      'timeout',
      `${shown} gave nothing for ${limits.idleMs} ms, or not all in ${limits.totalMs} ms`,
      { cause: error },
    )
  const what = otherwise === 'unreachable' ? 'cannot be reached' : 'broke off before the end'
  return refusal(
    'download',
    otherwise,
    `${shown} ${what}: ${code === '' || code === 'UND_ERR_ABORTED' ? message : code}`,
    { cause: error },
  )
}

function describe(error: unknown): { name: string; code: string; message: string } {
  if (!(error instanceof Error)) return { name: '', code: '', message: String(error) }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  return { name: error.name, code, message: error.message }
}
