// The app's own words where a release did not come up: what it wrote to stderr last.

export interface Said {
  /** Begins with the app's own error, where it has the form of one of JavaScript's. */
  readonly message: string
  /** Line by line. */
  readonly detail: readonly string[]
}

export function withAppError(message: string, output: string | null): Said {
  const detail = output?.split('\n') ?? []
  const own = detail.find((line) => /^(?:Uncaught )?(?:[A-Z]\w*)?Error\b/.test(line))
  return { message: own === undefined ? message : `${own}: ${message}`, detail }
}
