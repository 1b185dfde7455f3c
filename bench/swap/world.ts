// What every part of the bench is given.
import type { SigningPair } from '@aether/artifact/sign'
import type { Say } from '@aether/e2e/kit/scenario'
import type { SwapOptions } from '../bench.ts'
import type { Place as Server } from '../release/settings.ts'
import type { Certificate } from './certificate.ts'
import type { Client } from './client.ts'

export interface World {
  readonly folder: string
  readonly served: string
  readonly keys: SigningPair
  readonly server: Server
  readonly certificate: Certificate
  readonly client: Client
  /** Path of its command; undefined where it is left out. */
  readonly pm2: string | undefined
  readonly swap: SwapOptions
  readonly say: Say
}

export function takesPart({ only }: SwapOptions, name: string): boolean {
  return only === undefined || only.includes(name)
}
