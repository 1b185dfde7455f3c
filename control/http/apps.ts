// Routes of apps and their public keys: translation only.
import { Type } from 'typebox'
import type { App, PublicKeyRow } from '../domain/model.ts'
import type { Apps } from '../domain/services.ts'
import type { Instance } from './request.ts'
import { appName, appParams, next, noQuery, pageFields, pageOf, refusals, strict, text, time } from './schemas.ts'

const appBody = Type.Object({ name: appName, created_at: time }, { ...strict, title: 'App' })
const keyBody = Type.Object(
  {
    id: Type.String({ description: "First 16 hex characters of the key's sha256." }),
    key: Type.String({ description: '64 hex characters.' }),
    comment: Type.Union([Type.String(), Type.Null()]),
    is_development: Type.Boolean(),
    created_at: time,
  },
  { ...strict, title: 'PublicKey' },
)
const tags = ['apps']

export function addAppRoutes(instance: Instance, apps: Apps): void {
  instance.post(
    '/apps',
    {
      schema: {
        operationId: 'createApp',
        summary: 'Makes an app; 200 where it was there before',
        tags,
        querystring: noQuery,
        body: Type.Object({ name: appName }, strict),
        response: { 200: appBody, 201: appBody, ...refusals('too_large', 'media_type') },
      },
    },
    async (request, reply) => {
      const { app, isNew } = await apps.create(request.body.name)
      return reply.code(isNew ? 201 : 200).send(formatApp(app))
    },
  )

  instance.get(
    '/apps',
    {
      schema: {
        operationId: 'listApps',
        summary: 'Apps by name',
        tags,
        querystring: Type.Object(pageFields, strict),
        response: { 200: Type.Object({ items: Type.Array(appBody), next }, strict), ...refusals() },
      },
    },
    async (request) => {
      const paged = await apps.list(pageOf(request.query))
      return { items: paged.items.map(formatApp), next: paged.next }
    },
  )

  instance.get(
    '/apps/:app',
    {
      schema: {
        operationId: 'getApp',
        summary: 'One app',
        tags,
        params: appParams,
        querystring: noQuery,
        response: { 200: appBody, ...refusals('unknown_app') },
      },
    },
    async (request) => formatApp(await apps.find(request.params.app)),
  )

  instance.post(
    '/apps/:app/public-keys',
    {
      schema: {
        operationId: 'addPublicKey',
        summary: "Registers a key that the app's artifacts may be signed with; 200 where it was there before",
        tags,
        params: appParams,
        querystring: noQuery,
        body: Type.Object(
          {
            key: text(4096, {
              description: 'ed25519 public key as hex, base64 or PEM.',
              examples: ['3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c'],
            }),
            comment: Type.Optional(text(200, { examples: ['pipeline'] })),
            is_development: Type.Optional(
              Type.Boolean({ description: 'It signs for development environments alone (aether dev).' }),
            ),
          },
          strict,
        ),
        response: {
          200: keyBody,
          201: keyBody,
          ...refusals('unknown_app', 'conflict', 'too_large', 'media_type', 'bad_key'),
        },
      },
    },
    async (request, reply) => {
      const { key: given, comment = null, is_development: isDevelopment = false } = request.body
      const { key, isNew } = await apps.addKey(request.params.app, given, comment, isDevelopment)
      return reply.code(isNew ? 201 : 200).send(formatKey(key))
    },
  )

  instance.get(
    '/apps/:app/public-keys',
    {
      schema: {
        operationId: 'listPublicKeys',
        summary: 'The keys of an app, all of them',
        tags,
        params: appParams,
        querystring: noQuery,
        response: { 200: Type.Object({ items: Type.Array(keyBody), next }, strict), ...refusals('unknown_app') },
      },
    },
    async (request) => ({ items: (await apps.listKeys(request.params.app)).map(formatKey), next: null }),
  )
}

function formatApp({ name, createdAt }: App) {
  return { name, created_at: createdAt.toISOString() }
}

function formatKey({ id, key, comment, isDevelopment, createdAt }: PublicKeyRow) {
  return { id, key, comment, is_development: isDevelopment, created_at: createdAt.toISOString() }
}
