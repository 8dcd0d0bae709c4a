import { atomicList, choice, dictionary, mapList, object, optional, text, withDefault } from './base.ts'
import { rule } from './cel.ts'

const effects = ['NoPlacement', 'PreferNoPlacement'] as const

export const scheduling = () =>
  withDefault(
    choice(
      ['Open', 'Cordoned', 'Draining'],
      'Open takes machines; Cordoned takes no new ones; Draining takes no new ones either, and tells who is left until it is empty. In this version no machine is moved while it runs.',
    ),
    'Open',
  )

export const taint = object(
  {
    key: text('Taint key.', { min: 1, max: 317 }),
    value: optional(text('Value.', { max: 63 })),
    effect: choice(effects, 'NoPlacement keeps machines away; PreferNoPlacement only where there is another slot.'),
  },
  'A mark that keeps machines away which do not tolerate it.',
)

export const taints = () =>
  mapList(['key', 'effect'], taint, 'Machines without a matching toleration are not placed here.', { max: 16 })

export const toleration = object(
  {
    key: optional(text('Taint key. Absent with Exists: every taint.', { min: 1, max: 317 })),
    operator: withDefault(choice(['Equal', 'Exists'], 'How the taint is compared.'), 'Equal'),
    value: optional(text('Value for Equal.', { max: 63 })),
    effect: optional(choice(effects, 'Effect. Absent: every effect.')),
  },
  'A taint that does not keep the machine away.',
  {
    rules: [
      rule("self.operator == 'Exists' ? !has(self.value) : has(self.key)", 'Equal needs a key; Exists takes no value'),
    ],
  },
)

const labelKey = '^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'
const labelValue = '^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$'

/** Rules for a map that becomes labels of an object. */
export const labelRules = [
  rule(`self.all(k, k.matches('${labelKey}'))`, 'keys must be label keys such as rack or example.org/rack'),
  rule(
    `self.all(k, self[k].matches('${labelValue}'))`,
    'values must be label values: at most 63 letters, digits, and - _ . between them',
  ),
]

const selectorRequirement = object(
  {
    key: text('Label key.', { min: 1, max: 317 }),
    operator: choice(
      ['In', 'NotIn', 'Exists', 'DoesNotExist'],
      'In: the value is one of values; NotIn: it is not, or there is none; Exists, DoesNotExist: whether the label is there.',
    ),
    values: optional(atomicList(text('Value.', { max: 63 }), 'Values, for In and NotIn.', { max: 64 })),
  },
  'One requirement on a label.',
  {
    rules: [
      rule(
        "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
        'values is for In and NotIn only, and required there',
        '.values',
      ),
    ],
  },
)

/** As in core. Atomic: two appliers never mix halves of a selector. */
export const labelSelector = (description: string) =>
  object(
    {
      matchLabels: optional(
        dictionary(text('Value.', { max: 63 }), 'Labels that must have these values.', { max: 64 }),
      ),
      matchExpressions: optional(atomicList(selectorRequirement, 'Requirements that must all hold.', { max: 32 })),
    },
    description,
    { atomic: true },
  )

export const antiAffinityTerm = object(
  {
    selector: labelSelector('Labels of the other machines, in the same namespace.'),
    scope: withDefault(
      choice(
        ['Host', 'Hypervisor'],
        'Not on the same host, or not on the same hypervisor (or pool of hosts). In this version no slot names a host of a pool, so that Host keeps machines on different pools, too.',
      ),
      'Host',
    ),
    strength: withDefault(
      choice(
        ['Required', 'Preferred'],
        'Required: it waits rather than be there together with them, and keeps them away from where it is; Preferred: only where there is another slot.',
      ),
      'Required',
    ),
  },
  'Machines that this one keeps away from.',
)
