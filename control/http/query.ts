// A query is text. What its schema calls an integer or a boolean is read strictly here, so that ajv need not coerce
// (it takes `0x10` for 16, and would change bodies too).
import { isObject } from '@aether/contract/json'
import type { FastifyRequest } from 'fastify'

/** A preValidation hook. What cannot be read stays text, and the schema refuses it. */
export async function readQuery(request: FastifyRequest): Promise<void> {
  const schema: unknown = request.routeOptions.schema?.querystring
  const { query } = request
  if (!isObject(schema) || !isObject(schema.properties) || !isObject(query)) return
  for (const [name, property] of Object.entries(schema.properties)) {
    const text = query[name]
    if (typeof text !== 'string' || !isObject(property)) continue
    if (property.type === 'integer' && /^-?\d{1,15}$/.test(text)) query[name] = Number(text)
    if (property.type === 'boolean' && /^(true|false)$/.test(text)) query[name] = text === 'true'
  }
}
