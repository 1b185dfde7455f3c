// What is inside an image, as a CycloneDX document (https://cyclonedx.org/docs/1.6/json/): no random number and no clock
// in it, so the same image always has the same one.
import { type Component, uniqueComponents } from './components.ts'
import type { Architecture } from './oci.ts'

export const sbomType = 'application/vnd.cyclonedx+json'

/** What of the image the document is about: `digest` is its manifest's. */
export type SbomSubject = {
  readonly reference: string
  readonly architecture: Architecture
  readonly digest: string
  readonly created: string
}

export type Sbom = {
  readonly metadata: { readonly component: { readonly purl: string } }
  readonly components: readonly {
    readonly type: string
    readonly name: string
    readonly version: string
    readonly purl?: string
  }[]
}

export function formatSbom(subject: SbomSubject, components: readonly Component[], version: string): string {
  const { repository, name } = partsOf(subject.reference)
  const hex = subject.digest.slice('sha256:'.length)
  const document = {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    // The digest as a version 8 UUID, RFC 9562 section 5.8.
    serialNumber: `urn:uuid:${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`,
    version: 1,
    metadata: {
      timestamp: subject.created,
      component: {
        type: 'container',
        'bom-ref': 'image',
        name,
        version: subject.digest,
        purl: `pkg:oci/${name}@${encodeURIComponent(subject.digest)}?arch=${subject.architecture}&repository_url=${encodeURIComponent(repository)}`,
      },
    },
    components: [
      { type: 'application', 'bom-ref': 'aether', name: 'aether', version, licenses: [{ expression: 'Apache-2.0' }] },
      ...uniqueComponents(components).map(toCycloneDx),
    ],
  }
  return `${JSON.stringify(document, undefined, 2)}\n`
}

function toCycloneDx({ type, name, version, purl, cpe, license, source, architecture }: Component) {
  const properties = Object.entries({ 'aether:debian:source': source, 'aether:debian:architecture': architecture })
  return {
    type,
    'bom-ref': purl ?? `${name}@${version}`,
    name,
    version,
    ...(license !== undefined && { licenses: [{ expression: license }] }),
    ...(cpe !== undefined && { cpe }),
    ...(purl !== undefined && { purl }),
    ...(source !== undefined && {
      properties: properties.flatMap(([key, value]) => (value === undefined ? [] : { name: key, value })),
    }),
  }
}

/** `registry.example/team/name:tag` in its parts. */
export function partsOf(reference: string): {
  readonly repository: string
  readonly name: string
  readonly tag: string
} {
  const [, repository, tag] = /^(.+):([^:/]+)$/.exec(reference) ?? []
  if (repository === undefined || tag === undefined) throw new Error(`the image name ${reference} has no tag`)
  return { repository, name: repository.slice(repository.lastIndexOf('/') + 1), tag }
}
