// What the domain counts, as metrics; and the gauge that the database is asked for at each scrape.
import { metrics } from '@aether/contract/metric-names'
import type { Log } from '@aether/runtime/log'
import { createCounter, createGauge, createHistogram, type Registry } from '@aether/runtime/metrics'
import type { ControllerMetrics } from './domain/controller.ts'
import { statusOf } from './domain/model.ts'
import type { Store } from './domain/ports.ts'

const seconds = [0.1, 0.25, 0.5, 1, 2, 3, 5, 7.5, 10, 15, 30, 60, 120, 300]

export function createAppMetrics(
  registry: Registry,
  store: Pick<Store, 'countByStatus'>,
  log: Pick<Log, 'warn'>,
): ControllerMetrics {
  const status = createCounter(registry, metrics.deploymentStatusTotal)
  const toRunning = createHistogram(registry, metrics.deploymentTimeToRunningSeconds, seconds)
  const propagation = createHistogram(registry, metrics.deploymentPropagationSeconds, seconds)
  const running = createGauge(registry, metrics.deploymentsRunningTotal, async () => {
    try {
      running.set({}, (await store.countByStatus()).healthy)
    } catch (err) {
      // The other metrics are wanted most while the database is away; this one keeps its last value.
      log.warn({ err }, 'the deployments could not be counted')
    }
  })
  return {
    transition: (to) => status.inc({ status: statusOf({ currentStatus: to }) }),
    timeToRunning: (value) => toRunning.observe({}, value),
    propagated: (value) => propagation.observe({}, value),
  }
}
