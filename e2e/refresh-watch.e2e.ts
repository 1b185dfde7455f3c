// Mode watch: pods follow their annotations through the API server.
import { refreshInPlace } from './kit/refresh-body.ts'
import { runScenario } from './kit/run-scenario.ts'

await runScenario('refresh in mode watch', (t, scenario) => refreshInPlace(t, scenario, 'watch'))
