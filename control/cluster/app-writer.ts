// Writes an app into the cluster and takes it away. What `aether-control` applies holds no target; the target is written
// by `aether-target` with merge patches, so that neither ever takes back or overwrites what the other wrote.
import { annotations } from '@aether/contract/annotations'
import { ControlError } from '../domain/errors.ts'
import type { DeploymentSpec } from '../domain/model.ts'
import type { AppRef, TargetAnnotations } from '../domain/ports.ts'
import { type ApiServer, ApiServerError, applyPatch, mergePatch } from './api-server.ts'
import { type AppObject, companionsOf, deploymentOf } from './app-objects.ts'
import { at, textAt } from './json-path.ts'
import {
  appLabel,
  bindingName,
  controlManager,
  managerLabel,
  objectPath,
  type Resource,
  targetManager,
} from './names.ts'
import { targetOf } from './observed.ts'
import type { PodOptions } from './pod-spec.ts'

/** Each throws ApiServerError. apply and setTarget answer the Deployment as it is then. */
export interface AppWriter {
  apply(spec: DeploymentSpec, first: TargetAnnotations): Promise<unknown>
  /** Throws ControlError `changed_meanwhile` where the digest is no longer that of `over`. */
  setTarget(ref: AppRef, target: TargetAnnotations, devHot: boolean, over?: Over): Promise<unknown>
  /** Does nothing where that pod is gone. */
  annotatePod(pod: PodId, target: TargetAnnotations): Promise<void>
  remove(ref: AppRef): Promise<void>
}

/** What a target replaces. */
export interface Over {
  readonly digest: string
  /** A version of the Deployment that has this digest; undefined where none is known. */
  readonly version: string | undefined
}

export interface PodId {
  readonly namespace: string
  readonly name: string
  readonly uid: string
}

const mostConflicts = 5
const metadataOnly = 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io'

export function createAppWriter(api: ApiServer, options: PodOptions): AppWriter {
  /** The object that is there; undefined where there is none. */
  async function find(resource: Resource, namespace: string, name: string, accept = metadataOnly): Promise<unknown> {
    try {
      return await api.send({ method: 'GET', path: objectPath(resource, namespace, name), accept })
    } catch (error) {
      if (error instanceof ApiServerError && error.status === 404) return undefined
      throw error
    }
  }

  /** Takes over nothing that somebody else made under the name. */
  async function put({ resource, name, body }: AppObject, namespace: string, before: unknown): Promise<unknown> {
    if (before !== undefined) refuseForeign(before, resource, name)
    const uid = textAt(before, 'metadata', 'uid')
    // Of what is there all fields of ours are ours again; what is not there has no fields to fight about.
    const query = new URLSearchParams({ fieldManager: controlManager, force: String(before !== undefined) })
    return api.send({
      method: 'PATCH',
      path: `${objectPath(resource, namespace, name)}?${query.toString()}`,
      contentType: applyPatch,
      body: { ...body, metadata: { ...body.metadata, ...(uid === undefined ? {} : { uid }) } },
    })
  }

  async function patchDeployment({ namespace, app }: AppRef, body: object): Promise<unknown> {
    const query = new URLSearchParams({ fieldManager: targetManager })
    const path = `${objectPath('deployments', namespace, app)}?${query.toString()}`
    return api.send({ method: 'PATCH', path, contentType: mergePatch, body })
  }

  async function setTarget(ref: AppRef, target: TargetAnnotations, devHot: boolean, over?: Over): Promise<unknown> {
    // A pod of an app in place asks control at its birth: a digest in the template would be an older answer, and
    // changing it would make new pods.
    const ofTemplate = annotationsOf(devHot ? none : target)
    const write = async (resourceVersion: string | undefined) =>
      patchDeployment(ref, {
        metadata: { annotations: annotationsOf(target), ...(resourceVersion === undefined ? {} : { resourceVersion }) },
        spec: { template: { metadata: { annotations: ofTemplate } } },
      })
    if (over === undefined) return write(undefined)
    // The version also grows with each change of status, so a conflict asks what became of the digest.
    let { version } = over
    for (let conflicts = 0; ; conflicts++) {
      try {
        if (version !== undefined) return await write(version)
      } catch (error) {
        if (!(error instanceof ApiServerError) || error.status !== 409 || conflicts >= mostConflicts) throw error
      }
      const now = await find('deployments', ref.namespace, ref.app)
      version = textAt(now, 'metadata', 'resourceVersion')
      if (version === undefined) return write(undefined) // it is gone, and that says so
      if (digestOf(now) !== over.digest)
        throw new ControlError('changed_meanwhile', `${ref.namespace}/${ref.app} has another digest by now`)
    }
  }

  async function removeOwned(resource: Resource, { namespace, app }: AppRef, name: string): Promise<void> {
    const found = await find(resource, namespace, name)
    const uid = textAt(found, 'metadata', 'uid')
    if (uid === undefined || !isOurs(found, app)) return
    // In the background: the name is free at once, and the pods of a Deployment that is gone are gone by their owner.
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background', preconditions: { uid } }
    try {
      await api.send({ method: 'DELETE', path: objectPath(resource, namespace, name), body })
    } catch (error) {
      // Gone, or another object's name, in the moment between.
      if (!(error instanceof ApiServerError) || (error.status !== 404 && error.status !== 409)) throw error
    }
  }

  return {
    setTarget,
    async apply(spec, first) {
      const { namespace, app, devHot } = spec
      const ref = { namespace, app }
      const before = await find('deployments', namespace, app, 'application/json')
      if (before !== undefined) refuseForeign(before, 'deployments', app)
      for (const one of companionsOf(spec, options))
        await put(one, namespace, await find(one.resource, namespace, one.name))
      if (options.fetchMode === 'file') await removeOwned('roleBindings', ref, bindingName(app))

      const write = async (isPaused: boolean, there: unknown) =>
        put({ resource: 'deployments', name: app, body: deploymentOf(spec, options, isPaused) }, namespace, there)
      // A Deployment is born in three steps, so that no pod of it ever starts without a target: (1) paused, of which
      // Kubernetes makes no pods and no revision to roll back to, (2) the target, by its own owner, (3) no longer paused.
      // One that is still paused and has no target was left at (1) by a crash.
      const isUnborn = before === undefined || (at(before, 'spec', 'paused') === true && digestOf(before) === null)
      if (isUnborn) {
        await write(true, before)
        await setTarget(ref, first, devHot)
        return write(false, await find('deployments', namespace, app))
      }
      // Changing between in place and new pods makes new pods once: what the template says of the target changes first
      // in one patch, and the apply finds it so.
      const isHot = textAt(before, 'spec', 'template', 'metadata', 'annotations', annotations.devHot)
      if (isHot !== String(devHot)) {
        const target = devHot ? none : targetOf(at(before, 'metadata', 'annotations'))
        const ofTemplate = { ...annotationsOf(target), [annotations.devHot]: String(devHot) }
        await patchDeployment(ref, { spec: { template: { metadata: { annotations: ofTemplate } } } })
      }
      return write(false, before)
    },
    async annotatePod({ namespace, name, uid }, target) {
      const path = objectPath('pods', namespace, name)
      const query = new URLSearchParams({ fieldManager: targetManager })
      const body = { metadata: { uid, annotations: annotationsOf(target) } }
      try {
        await api.send({
          method: 'PATCH',
          path: `${path}?${query.toString()}`,
          contentType: mergePatch,
          body,
          accept: metadataOnly,
        })
      } catch (error) {
        if (!(error instanceof ApiServerError)) throw error
        if (error.status === 404) return
        // The uid does not hold: it is another pod of that name.
        const now =
          error.status === 409 || error.status === 422 ? await find('pods', namespace, name) : { metadata: { uid } }
        if (textAt(now, 'metadata', 'uid') === uid) throw error
      }
    },
    async remove(ref) {
      await removeOwned('deployments', ref, ref.app)
      await removeOwned('services', ref, ref.app)
      await removeOwned('roleBindings', ref, bindingName(ref.app))
      await removeOwned('serviceAccounts', ref, ref.app)
    },
  }
}

const none: TargetAnnotations = { digest: null, artifactUrl: null, signature: null, commit: null }

/** Null removes (RFC 7386). */
function annotationsOf({ digest, artifactUrl, signature, commit }: TargetAnnotations) {
  return {
    [annotations.digest]: digest,
    [annotations.artifactUrl]: artifactUrl,
    [annotations.signature]: signature,
    [annotations.buildCommit]: commit,
  }
}

function digestOf(deployment: unknown): string | null {
  return targetOf(at(deployment, 'metadata', 'annotations')).digest
}

function isOurs(object: unknown, app: string): boolean {
  return (
    textAt(object, 'metadata', 'labels', managerLabel) === controlManager &&
    textAt(object, 'metadata', 'labels', appLabel) === app
  )
}

function refuseForeign(object: unknown, resource: Resource, name: string): void {
  const app = textAt(object, 'metadata', 'labels', appLabel) ?? ''
  if (!isOurs(object, app) || (name !== app && name !== bindingName(app)))
    throw new ApiServerError(
      409,
      `${resource} has a ${name} that control did not make: remove it, or name the app differently`,
    )
  if (textAt(object, 'metadata', 'deletionTimestamp') !== undefined)
    throw new ApiServerError(503, `${name} of ${resource} is being deleted: try again when it is gone`)
}
