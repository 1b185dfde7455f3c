// A module of its own, so that an import is resolved too.
export function answerOf(version: string): string {
  return `typescript ${version} ${process.pid}\n`
}
