// Names in a cluster: DNS labels (RFC 1123). An app's begins with a letter, as a Service's must (RFC 1035), and has at most
// 40 characters, because other names are made of it.

export function isDnsLabel(text: string): boolean {
  return /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(text)
}

/** `@shop/Web.App` -> `shop-web-app`; undefined where nothing is left. */
export function toAppName(name: string): string | undefined {
  const label = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replace(/^[^a-z]+/, '')
    .slice(0, 40)
    .replace(/-+$/, '')
  return label === '' ? undefined : label
}

export function isAppName(text: string): boolean {
  return /^[a-z]/.test(text) && text.length <= 40 && isDnsLabel(text)
}
