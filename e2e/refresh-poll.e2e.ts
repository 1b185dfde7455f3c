// Mode poll: pods ask the API server for their annotations at each interval.
import { refreshInPlace } from './kit/refresh-body.ts'
import { runScenario } from './kit/run-scenario.ts'

await runScenario('refresh in mode poll', (t, scenario) => refreshInPlace(t, scenario, 'poll'))
