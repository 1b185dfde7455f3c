// The progress of an upload: a bar on a terminal, and nothing elsewhere (the line after it says how long it took).
import type { Output } from './output.ts'
import { formatBytes } from './table.ts'

const width = 24

export function createProgress(output: Output, total: number): (sent: number) => void {
  let shown = -1
  return (sent) => {
    const percent = total === 0 ? 100 : Math.floor((sent / total) * 100)
    if (percent === shown) return
    shown = percent
    const full = Math.round((percent / 100) * width)
    output.transient(`upload     ${'#'.repeat(full)}${'.'.repeat(width - full)} ${percent} % of ${formatBytes(total)}`)
  }
}
