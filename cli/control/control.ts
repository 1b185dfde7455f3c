// Control as the commands see it: one call a route. Answers come parsed where a command decides by them, and raw where
// `--output json` passes them on.
import type { Readable } from 'node:stream'
import { objectPackType } from '@aether/contract/control-api'
import type { Digest } from '@aether/contract/digest'
import { type Answer, AnswerError, readAnswer } from '../basics/answer.ts'
import { Failure } from '../basics/failure.ts'
import type { Call, Http } from './http.ts'
import { type Deployment, type DeploymentView, parseDeployment, parseDeploymentView } from './shapes.ts'

export interface Raw<T> {
  readonly value: T
  readonly raw: unknown
}

export type Control = ReturnType<typeof createControl>

export function createControl(http: Http) {
  const send = async <T>(call: Call, parse: (answer: Answer) => T): Promise<Raw<T>> => {
    const raw = await http.send(call)
    try {
      return { raw, value: parse(readAnswer(raw, "control's answer")) }
    } catch (error) {
      if (!(error instanceof AnswerError)) throw error
      throw new Failure('failed', `${error.message} (${call.method} /${call.path})`, {
        cause: error,
        next: 'bring aether and control to versions that fit together',
      })
    }
  }
  /** Every page, up to a bound. */
  const list = async <T>(path: string, query: Call['query'], parse: (answer: Answer) => T): Promise<Raw<T>[]> => {
    const all: Raw<T>[] = []
    let after: string | undefined
    for (let page = 0; page < 50; page += 1) {
      const { value, raw } = await send(
        { method: 'GET', path, query: { ...query, after }, safety: 'repeatable' },
        (answer) => ({ items: answer.items('items').map(parse), next: answer.textOrNull('next') }),
      )
      const items = rawItems(raw)
      all.push(...value.items.map((item, at) => ({ value: item, raw: items[at] })))
      if (value.next === null) break
      after = value.next
    }
    return all
  }

  return {
    createApp: (name: string) =>
      send({ method: 'POST', path: 'apps', json: { name }, safety: 'repeatable' }, (answer) => answer.text('name')),
    listApps: () => list('apps', {}, (answer) => ({ name: answer.text('name'), createdAt: answer.text('created_at') })),
    addKey: (app: string, { isDevelopment, ...key }: { key: string; comment: string; isDevelopment: boolean }) =>
      send(
        {
          method: 'POST',
          path: `apps/${segment(app)}/public-keys`,
          json: { ...key, is_development: isDevelopment },
          safety: 'repeatable',
        },
        (answer) => answer.text('id'),
      ),
    /** Throws `unknown_app`. */
    listKeys: (app: string) =>
      list(`apps/${segment(app)}/public-keys`, {}, (answer) => ({
        id: answer.text('id'),
        isDevelopment: answer.flag('is_development'),
      })),

    /** Throws `unknown_app`. */
    findApp: (app: string) =>
      send({ method: 'GET', path: `apps/${segment(app)}`, safety: 'repeatable' }, (answer) => answer.text('name')),
    /** What control has of this digest for this app; undefined where it has nothing, or names another app that has it. */
    async findArtifact(app: string, digest: Digest): Promise<{ readonly signatures: readonly string[] } | undefined> {
      try {
        const { value } = await send(
          { method: 'GET', path: `artifacts/${digest}/meta`, safety: 'repeatable' },
          (answer) => ({
            app: answer.text('app'),
            signatures: ['signature', 'development_signature'].flatMap((name) => answer.textOrNull(name) ?? []),
          }),
        )
        return value.app === app ? value : undefined
      } catch (error) {
        const isAbsent = ['unknown_artifact', 'not_found', 'foreign_artifact']
        if (error instanceof Failure && error.code !== undefined && isAbsent.includes(error.code)) return undefined
        throw error
      }
    },
    /** Of a tree's objects; at most `mostAskedObjects` of them. */
    findLacking: async (app: string, digests: readonly string[]) => {
      const { value } = await send(
        { method: 'POST', path: `apps/${segment(app)}/objects/lacking`, json: { digests }, safety: 'repeatable' },
        (answer) => ({ lacking: answer.texts('lacking'), unproven: answer.texts('unproven') }),
      )
      return value
    },
    /** Never repeated: what came of it stays, so whoever is cut off asks again what is lacking. */
    sendObjects: (app: string, body: { readonly bytes: number | undefined; readonly open: () => Readable }) =>
      send(
        {
          method: 'POST',
          path: `apps/${segment(app)}/objects`,
          body: { ...body, type: objectPackType },
          safety: 'once',
        },
        (answer) => answer.count('objects'),
      ),
    /** Throws `incomplete` where objects are lacking. */
    registerTree: (app: string, digest: Digest, more: { readonly signature?: string; readonly commit?: string }) =>
      send(
        { method: 'PUT', path: `apps/${segment(app)}/trees/${digest}`, json: more, safety: 'repeatable' },
        (answer) => answer.text('digest'),
      ),

    listDeployments: (filter: { readonly app?: string; readonly namespace?: string }) =>
      list('deployments', { app: filter.app, namespace: filter.namespace }, parseDeployment),
    async findLive(app: string, namespace: string): Promise<Deployment | undefined> {
      const found = await list('deployments', { app, namespace }, parseDeployment)
      return found
        .map(({ value }) => value)
        .find((one) => one.app === app && one.namespace === namespace && one.desiredStatus !== 'stopped')
    },
    viewDeployment: (id: string): Promise<Raw<DeploymentView>> =>
      send({ method: 'GET', path: `deployments/${segment(id)}`, safety: 'repeatable' }, parseDeploymentView),
    createDeployment: (spec: Readonly<Record<string, unknown>>) =>
      send({ method: 'POST', path: 'deployments', json: spec, safety: 'once' }, parseDeployment),
    /** To set the same values twice is to set them once. */
    changeDeployment: (id: string, change: Readonly<Record<string, unknown>>) =>
      send(
        { method: 'PATCH', path: `deployments/${segment(id)}`, json: change, safety: 'repeatable' },
        parseDeployment,
      ),
    /** Without a digest twice is there and back again: never repeated. */
    rollback: (id: string, digest: Digest | undefined) =>
      send(
        {
          method: 'POST',
          path: `deployments/${segment(id)}/rollback`,
          json: digest === undefined ? {} : { digest },
          safety: digest === undefined ? 'once' : 'repeatable',
        },
        parseDeployment,
      ),
    stop: (id: string) => http.send({ method: 'DELETE', path: `deployments/${segment(id)}`, safety: 'repeatable' }),
    close: () => http.close(),
  }
}

function segment(text: string): string {
  return encodeURIComponent(text)
}

function rawItems(raw: unknown): readonly unknown[] {
  const items = typeof raw === 'object' && raw !== null && 'items' in raw ? raw.items : []
  return Array.isArray(items) ? items : []
}
