// One line of a pod as it is shown. In the app's container its own lines and those of the supervisor are mixed: a line that
// is a marker, or JSON with the field `agent`, is not the app's.
import { isObject } from '@aether/contract/json'
import { parseMarker } from '@aether/contract/markers'
import type { Colours } from '../basics/output.ts'

/** Undefined where the line is not shown. */
export function createLineFormat(
  colours: Colours,
  withAgents: boolean,
): (pod: string, line: string) => string | undefined {
  const palette = [colours.cyan, colours.magenta, colours.yellow, colours.green, colours.blue, colours.red]
  const taken = new Map<string, (text: string) => string>()
  return (pod, line) => {
    const isAgents = isOfAgent(line)
    if (isAgents && !withAgents) return undefined
    let colour = taken.get(pod)
    if (colour === undefined) {
      colour = palette[taken.size % palette.length] ?? colours.cyan
      taken.set(pod, colour)
    }
    return `${colour(pod)} ${isAgents ? colours.dim(line) : line}`
  }
}

function isOfAgent(line: string): boolean {
  if (parseMarker(line) !== undefined) return true
  if (!line.startsWith('{')) return false
  try {
    const value: unknown = JSON.parse(line)
    return isObject(value) && typeof value.agent === 'string' && typeof value.level === 'number'
  } catch {
    return false
  }
}
