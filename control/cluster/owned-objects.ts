// Objects of one kind by uid, and by the uid of their owner. A list replaces all of them, and only what differs is told. What
// is older than what is held, as an event from before our own write is, changes nothing: versions of one object grow
// (https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions).

export interface OwnedObject {
  readonly uid: string
  readonly namespace: string
  readonly name: string
  /** Of the controlling ownerReference; null where there is none. */
  readonly ownerUid: string | null
  readonly resourceVersion: string
}

export interface OwnedObjects<T extends OwnedObject> {
  get(uid: string): T | undefined
  find(namespace: string, name: string): T | undefined
  ownedBy(uid: string): readonly T[]
  values(): Iterable<T>
  put(object: T): void
  drop(uid: string): void
  beginList(): void
  endList(): void
}

/** `changed` is called with each object that is new, different or gone; a gone one is still there to be found. */
export function createOwnedObjects<T extends OwnedObject>(changed: (object: T) => void): OwnedObjects<T> {
  const all = new Map<string, T>()
  const byName = new Map<string, string>()
  const byOwner = new Map<string, Set<string>>()
  let listed: Set<string> | undefined

  const nameOf = ({ namespace, name }: { namespace: string; name: string }) => `${namespace}/${name}`

  function forget(object: T): void {
    all.delete(object.uid)
    // The name may be another object's by now.
    if (byName.get(nameOf(object)) === object.uid) byName.delete(nameOf(object))
    if (object.ownerUid === null) return
    const siblings = byOwner.get(object.ownerUid)
    siblings?.delete(object.uid)
    if (siblings?.size === 0) byOwner.delete(object.ownerUid)
  }
  function drop(uid: string): void {
    const object = all.get(uid)
    if (object === undefined) return
    changed(object)
    forget(object)
  }

  return {
    get: (uid) => all.get(uid),
    find: (namespace, name) => all.get(byName.get(nameOf({ namespace, name })) ?? ''),
    ownedBy: (uid) => [...(byOwner.get(uid) ?? [])].flatMap((one) => all.get(one) ?? []),
    values: () => all.values(),
    put(object) {
      listed?.add(object.uid)
      const before = all.get(object.uid)
      if (before?.resourceVersion === object.resourceVersion) return
      // A list is taken as it is: that of a cluster restored from a backup begins at older versions.
      if (before !== undefined && listed === undefined && isOlder(object, before)) return
      if (before !== undefined) forget(before)
      all.set(object.uid, object)
      byName.set(nameOf(object), object.uid)
      if (object.ownerUid !== null) {
        const siblings = byOwner.get(object.ownerUid) ?? new Set()
        byOwner.set(object.ownerUid, siblings.add(object.uid))
      }
      changed(object)
    },
    drop,
    beginList() {
      listed = new Set()
    },
    endList() {
      for (const uid of all.keys()) if (listed?.has(uid) !== true) drop(uid)
      listed = undefined
    },
  }
}

function isOlder(a: OwnedObject, b: OwnedObject): boolean {
  const isNumber = (version: string) => /^\d+$/.test(version)
  if (!isNumber(a.resourceVersion) || !isNumber(b.resourceVersion)) return false
  return BigInt(a.resourceVersion) < BigInt(b.resourceVersion)
}
