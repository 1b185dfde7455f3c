// Who is measured: our pod in four settings with one app and in one with another, and the loop that it replaces with
// both. Each has a namespace of its own and is always there, so that turns can be taken.
import { fileURLToPath } from 'node:url'
import { applyPatched, deployHello, type Mode } from '@aether/e2e/kit/deploy'
import type { Scenario } from '@aether/e2e/kit/scenario'
import type { BenchOptions } from '../bench.ts'
import { bundleFastify, bundleWithCache } from './fastify-app.ts'

export interface Contestant {
  readonly name: string
  readonly changes: number
  /** The longest of its own periods: the moments of the changes are spread over it. */
  readonly periodMs: number
  /** Folder of its app, made below `folder`. */
  makeApp(folder: string): Promise<string>
  deploy(scenario: Scenario, annotations: Readonly<Record<string, string>>): Promise<void>
}

export const peer = 'busybox-loop'
/** The loop with the Fastify app. */
export const fastifyPeer = 'busybox-loop fastify'

const hello = fileURLToPath(new URL('../../examples/hello', import.meta.url))
const loop = fileURLToPath(new URL('../baselines/busybox-loop', import.meta.url))

export function listContestants({ ours, theirs, busyboxImage }: BenchOptions): readonly Contestant[] {
  const makeHello = () => Promise.resolve(hello)
  const our = (
    name: string,
    makeApp: Contestant['makeApp'],
    mode: Mode,
    env: Readonly<Record<string, string>> = {},
  ): Contestant => ({
    name,
    changes: ours,
    periodMs: 1000, // of the readiness probe, which the drain waits for
    makeApp,
    deploy: (scenario, annotations) => deployHello(scenario, { mode, replicas: 1, annotations, env }),
  })
  const their = (name: string, makeApp: Contestant['makeApp']): Contestant => ({
    name,
    changes: theirs,
    periodMs: 5000, // of its look at the annotations
    makeApp,
    deploy: (scenario, annotations) => deployLoop(scenario, annotations, busyboxImage),
  })
  return [
    our('hello', makeHello, 'watch'),
    our('hello file', makeHello, 'file'),
    our('hello no-drain', makeHello, 'watch', { AETHER_DRAIN_MAX_MS: '0' }),
    our('fastify', bundleFastify, 'watch'),
    our('fastify cached', bundleWithCache, 'watch'),
    their(peer, makeHello),
    their(fastifyPeer, bundleFastify),
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
