// A scenario as a test of tap.
import { type Test, test } from 'tap'
import { openScenario, type Scenario } from './scenario.ts'
import { showPods } from './show-pods.ts'

const usualLimitMs = 600_000

export function runScenario(
  name: string,
  body: (t: Test, scenario: Scenario) => Promise<void>,
  timeout: number = usualLimitMs,
) {
  return test(name, { timeout }, async (t) => {
    const { scenario, close } = await openScenario(name)
    // Not `finally`: a test whose time is over is torn down while its body still waits.
    t.teardown(close)
    const say = (line: string) => t.comment(line)
    try {
      await body(t, scenario)
    } catch (error) {
      await showPods(say, scenario)
      throw error
    }
    if (!t.passing()) await showPods(say, scenario)
  })
}
