// What the bench and its client, a process of its own, say to each other. Both are from this folder and of one version.
import { isObject } from '@aether/contract/json'
import type { FaultKind } from './fault.ts'

export interface Target {
  readonly port: number
  readonly isTls: boolean
}

/** What is asked for at the same time; connections are dealt to the targets in turn. */
export interface Load {
  readonly targets: readonly Target[]
  /** Keep-alive connections that ask again as soon as they are answered. */
  readonly busy: number
  /** Keep-alive connections that are idle for up to 200 ms between two requests. */
  readonly calm: number
  /** A connection of its own for one request, this often; 0 is never. */
  readonly freshEveryMs: number
  readonly slow: number
  readonly uploads: number
  readonly streams: number
}

export const works = ['busy', 'calm', 'fresh', 'slow', 'upload', 'stream'] as const
export type Work = (typeof works)[number]

/** A line that no answer had before. */
export interface Seen {
  /** `NAME VERSION PID` */
  readonly answer: string
  /** Milliseconds since the epoch, as all moments that cross between the processes. */
  readonly atMs: number
}

export interface Failed {
  readonly kind: FaultKind
  readonly work: Work
  /** When its connection was begun. */
  readonly openedAtMs: number
  readonly message: string
}

/** What was counted since the last one was taken. */
export interface Tally {
  readonly seconds: number
  readonly answered: Readonly<Record<Work, number>>
  readonly failedCount: number
  /** The first fifty thousand of them. */
  readonly failed: readonly Failed[]
  /** Of the busy connections. */
  readonly p50Ms: number
  readonly p99Ms: number
  readonly longestMs: number
  readonly connects: number
  readonly slowConnects: number
  readonly longestConnectMs: number
  /** Keep-alive connections that the server closed while nothing was asked on them: it may (RFC 9112 section 9.5). */
  readonly closedIdle: number
}

export type ToClient = { readonly kind: 'start'; readonly load: Load } | { readonly kind: 'take' | 'stop' }
export type FromClient =
  | { readonly kind: 'seen'; readonly seen: Seen }
  | { readonly kind: 'tally'; readonly tally: Tally }

export function isToClient(message: unknown): message is ToClient {
  return isObject(message) && (message.kind === 'start' || message.kind === 'take' || message.kind === 'stop')
}

export function isFromClient(message: unknown): message is FromClient {
  return isObject(message) && (message.kind === 'seen' || message.kind === 'tally')
}
