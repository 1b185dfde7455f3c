// For tests that root runs: loaded with --import, it makes the process another user's before anything else is loaded, as
// runAsUser and runAsGroup do. RUN_AS is `uid:gid`.
const [user, group] = (process.env.RUN_AS ?? '').split(':').map(Number)
if (user !== undefined && group !== undefined) {
  process.setgroups?.([group])
  process.setgid?.(group)
  process.setuid?.(user)
  // What it starts is that user's already, and may not ask again.
  delete process.env.RUN_AS
}

/** The environment that makes a process of Node run so; `more` may bring another preload. */
export function runAs(uid: number, gid: number, more: Readonly<Record<string, string>> = {}): Record<string, string> {
  const options = [`--import=${import.meta.url}`, more.NODE_OPTIONS].join(' ')
  return { ...more, NODE_OPTIONS: options.trim(), RUN_AS: `${uid}:${gid}` }
}
