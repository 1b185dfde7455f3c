// prom-client behind types that demand every label: a forgotten one would silently make a second series.
import type { MetricSpec } from '@aether/contract/metric-names'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

import about from './package.json' with { type: 'json' }

export type { Registry }

const { version } = about

type Labels<L extends string> = Readonly<Record<L, string>>

/** A timer that wakes an idle process a hundred times a second, to learn how late timers are: it is set to never. */
const neverMs = 2 ** 31 - 1

/** A registry with the process metrics of Node and aether_build_info. */
export function createRegistry(): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: neverMs })
  for (const part of ['min', 'max', 'mean', 'stddev', 'p50', 'p90', 'p99'])
    registry.removeSingleMetric(`nodejs_eventloop_lag_${part}_seconds`)
  // promtool refuses gauges named _total.
  for (const kind of ['handles', 'requests', 'resources']) registry.removeSingleMetric(`nodejs_active_${kind}_total`)
  return registry
}

export function createCounter<L extends string>(registry: Registry, spec: MetricSpec<L>) {
  const counter = new Counter({ name: spec.name, help: spec.help, labelNames: [...spec.labels], registers: [registry] })
  return {
    inc: (labels: Labels<L>, by = 1) => counter.inc({ ...labels }, by),
    remove: (labels: Labels<L>) => counter.remove({ ...labels }),
  }
}

export interface TypedGauge<L extends string> {
  set(labels: Labels<L>, value: number): void
  remove(labels: Labels<L>): void
}

/** `collect` is called at each scrape, to set what is known only then. */
export function createGauge<L extends string>(
  registry: Registry,
  spec: MetricSpec<L>,
  collect?: () => void | Promise<void>,
): TypedGauge<L> {
  const { name, help, labels } = spec
  const gauge = new Gauge({
    name,
    help,
    labelNames: [...labels],
    registers: [registry],
    ...(collect ? { collect } : {}),
  })
  return {
    set: (values: Labels<L>, value: number) => gauge.set({ ...values }, value),
    remove: (values: Labels<L>) => gauge.remove({ ...values }),
  }
}

/** `buckets` in the metric's base unit. */
export function createHistogram<L extends string>(registry: Registry, spec: MetricSpec<L>, buckets: readonly number[]) {
  const { name, help, labels } = spec
  const histogram = new Histogram({ name, help, labelNames: [...labels], buckets: [...buckets], registers: [registry] })
  return { observe: (values: Labels<L>, value: number) => histogram.observe({ ...values }, value) }
}

/** Sets the agent's info gauge to 1. */
export function setBuildInfo(registry: Registry, spec: MetricSpec<'agent' | 'version' | 'node'>, agent: string): void {
  createGauge(registry, spec).set({ agent, version, node: process.versions.node }, 1)
}
