// Who is measured: our pod in four settings, and the loop that it replaces. Each has a namespace of its own and is
// always there, so that turns can be taken.
import { fileURLToPath } from 'node:url'
import { applyPatched, deployHello, type Mode } from '@aether/e2e/kit/deploy'
import type { Scenario } from '@aether/e2e/kit/scenario'
import type { BenchOptions } from '../bench.ts'

export interface Contestant {
  readonly name: string
  readonly changes: number
  /** The longest of its own periods: the moments of the changes are spread over it. */
  readonly periodMs: number
  deploy(scenario: Scenario, annotations: Readonly<Record<string, string>>): Promise<void>
}

export const peer = 'busybox-loop'

const loop = fileURLToPath(new URL('../baselines/busybox-loop', import.meta.url))

export function listContestants({ ours, theirs, busyboxImage }: BenchOptions): readonly Contestant[] {
  const hello = (name: string, mode: Mode, env: Readonly<Record<string, string>> = {}): Contestant => ({
    name,
    changes: ours,
    periodMs: 1000, // of the readiness probe, which the drain waits for
    deploy: (scenario, annotations) => deployHello(scenario, { mode, replicas: 1, annotations, env }),
  })
  return [
    hello('hello', 'watch'),
    hello('hello file', 'file'),
    hello('hello no-drain', 'watch', { AETHER_DRAIN_MAX_MS: '0' }),
    {
      name: peer,
      changes: theirs,
      periodMs: 5000, // of its look at the annotations
      deploy: (scenario, annotations) => deployLoop(scenario, annotations, busyboxImage),
    },
  ]
}

function deployLoop(
  scenario: Scenario,
  annotations: Readonly<Record<string, string>>,
  busyboxImage: string,
): Promise<void> {
  return applyPatched(scenario, loop, {
    template: {
      metadata: { annotations },
      spec: {
        // Both and in order: kustomize puts what a patch names in front.
        initContainers: ['lend-busybox', 'fetcher'].map((name) => ({ name, image: busyboxImage })),
        containers: [{ name: 'app', image: scenario.config.nodejsImage }],
      },
    },
  })
}
