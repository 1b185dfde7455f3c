// The usual variables of a proxy, under their usual names: HTTP_PROXY, HTTPS_PROXY, NO_PROXY, in capitals or not.
import type { ConfigReader } from '@aether/runtime/config'

export interface Proxies {
  /** For http: and, where there is no other, for https: too. Empty is none. May hold a password. */
  readonly httpProxy: string
  readonly httpsProxy: string
  readonly noProxy: string
}

/** `undefined` where there is no proxy. */
export function readProxies(read: ConfigReader): Proxies | undefined {
  const url = (name: string, help: string) => read.parsed(name, 'URL', parseProxy, help) ?? ''
  const proxies = {
    httpProxy: url('HTTP_PROXY', 'Proxy for artifacts; control is asked without one. http_proxy counts too.'),
    httpsProxy: url('HTTPS_PROXY', 'Proxy for artifacts from https: servers, where it is another. https_proxy too.'),
    noProxy: read.text('NO_PROXY', '', 'Hosts that are asked without a proxy; a domain counts for all below it.'),
  }
  return proxies.httpProxy === '' && proxies.httpsProxy === '' ? undefined : proxies
}

/** Throws an Error that says what to write, and repeats nothing: it may hold a password. */
function parseProxy(text: string): string {
  const whole = text.includes('://') ? text : `http://${text}`
  if (URL.canParse(whole) && ['http:', 'https:'].includes(new URL(whole).protocol)) return whole
  throw new Error('write the http(s) URL of a proxy, as in http://proxy.example:3128')
}
