import type { KubeObject, ObjectReference, ReadObject } from '../../kube/port.ts'

export function referenceTo(object: ReadObject<KubeObject>): ObjectReference {
  const { apiVersion, kind, metadata } = object
  const { namespace, name, uid } = metadata
  return { apiVersion, kind, name, uid, ...(namespace === undefined ? {} : { namespace }) }
}
