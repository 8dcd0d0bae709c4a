import { category, group, version } from '../../controller/api/names.ts'
import type { KindDefinition } from '../../controller/api/schema/kind.ts'
import { objectNameRule } from '../../controller/api/schema/names.ts'
import { structural } from './structural.ts'

const identity = {
  apiVersion: {
    description: 'Version of the API: group and version, as berth.dev/v1alpha1.',
    type: 'string',
  },
  kind: { description: 'Kind of this object.', type: 'string' },
  // Declared, so that a rule can point at it.
  metadata: { type: 'object', properties: { name: { type: 'string' } } },
}

/** The CustomResourceDefinition of a kind, as an object that can be printed or applied. */
export function crdOf(definition: KindDefinition) {
  const { kind, plural, singular, shortNames, namespaced, spec, status, columns, selectableFields = [] } = definition
  const schema = {
    description: definition.description,
    type: 'object',
    required: ['spec'],
    'x-kubernetes-validations': [objectNameRule(definition.names), ...(definition.rules ?? [])],
    properties: {
      ...identity,
      spec: structural(spec, `${kind}.spec`),
      ...(status === undefined ? {} : { status: structural(status, `${kind}.status`) }),
    },
  }
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: namespaced ? 'Namespaced' : 'Cluster',
      names: { kind, listKind: `${kind}List`, plural, singular, shortNames, categories: [category] },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          ...(status === undefined ? {} : { subresources: { status: {} } }),
          additionalPrinterColumns: columns.map(({ wide = false, ...column }) => ({
            ...column,
            ...(wide ? { priority: 1 } : {}),
          })),
          ...(selectableFields.length === 0
            ? {}
            : { selectableFields: selectableFields.map((jsonPath) => ({ jsonPath })) }),
          schema: { openAPIV3Schema: schema },
        },
      ],
    },
  }
}
