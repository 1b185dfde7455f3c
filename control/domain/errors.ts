// The closed table of what control refuses, and why. One row gives the code in the answer, its HTTP status (RFC 9110)
// and the title of the problem (RFC 9457); OpenAPI and docs/contract.md are held against it.

const table = {
  malformed: { status: 400, title: 'The request does not have the shape that the schema asks for' },
  unauthorized: { status: 401, title: 'No token that is known' },
  forbidden: { status: 403, title: 'The token does not allow this' },
  foreign_artifact: { status: 403, title: 'The artifact belongs to another app' },
  not_found: { status: 404, title: 'There is no such thing' },
  unknown_app: { status: 404, title: 'There is no such app' },
  unknown_artifact: { status: 404, title: 'The app has no such artifact' },
  method_not_allowed: { status: 405, title: 'The path does not take this method' },
  conflict: { status: 409, title: 'It is there already, and different' },
  changed_meanwhile: { status: 409, title: 'Somebody else changed it in the same moment' },
  length_required: { status: 411, title: 'The length of the body must be said' },
  too_large: { status: 413, title: 'The body is larger than is taken' },
  range: { status: 416, title: 'The range lies outside the artifact' },
  media_type: { status: 415, title: 'The body has a type that is not taken' },
  wrong_digest: { status: 422, title: 'The bytes do not have the digest that was said' },
  bad_tree: { status: 422, title: 'The tree is none that a pod would take' },
  incomplete: { status: 409, title: 'Objects of the tree are lacking' },
  truncated: { status: 400, title: 'The body ended before its length' },
  development_only: { status: 422, title: 'It is signed for development alone' },
  bad_signature: { status: 422, title: 'The signature does not hold under any key of the app' },
  signature_required: { status: 422, title: 'The app has keys, and the artifact no signature' },
  bad_key: { status: 422, title: 'The key is none that may be trusted' },
  too_many: { status: 429, title: 'Too many requests' },
  internal: { status: 500, title: 'A fault of ours' },
  cluster_refused: { status: 502, title: 'The cluster refuses what was asked of it' },
  database_unavailable: { status: 503, title: 'The database cannot be reached' },
  cluster_unavailable: { status: 503, title: 'The cluster cannot be reached' },
  storage_unavailable: { status: 503, title: 'The artifact store cannot be used' },
} as const satisfies Record<string, { readonly status: number; readonly title: string }>

export type ErrorCode = keyof typeof table

export const errorTable: Readonly<Record<ErrorCode, { readonly status: number; readonly title: string }>> = table

/** What every part throws: a code of the table, the field at fault where there is one, and a message with the remedy. */
export class ControlError extends Error {
  override readonly name = 'ControlError'
  readonly code: ErrorCode
  /** Header, parameter or path in the body, as in `aether-digest` or `body.replicas`. */
  readonly field: string | undefined

  constructor(code: ErrorCode, message: string, options?: ErrorOptions & { readonly field?: string }) {
    super(message, options)
    this.code = code
    this.field = options?.field
  }
}
