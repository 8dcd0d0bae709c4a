import type { LabelSelector, Taint, Toleration } from './types.ts'

/** Whether labels match a selector, as Kubernetes has it: an empty selector matches everything. */
export function matchesSelector(labels: Readonly<Record<string, string>>, selector: LabelSelector): boolean {
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) {
    if (labels[key] !== value) return false
  }
  return (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    const value = labels[key]
    const listed = value !== undefined && values.includes(value)
    const holds = { In: listed, NotIn: !listed, Exists: value !== undefined, DoesNotExist: value === undefined }
    return holds[operator]
  })
}

/** Whether a toleration answers a taint: no key tolerates every key, no effect every effect. */
export function tolerates(toleration: Toleration, taint: Taint): boolean {
  if (toleration.effect !== undefined && toleration.effect !== taint.effect) return false
  if (toleration.key !== undefined && toleration.key !== taint.key) return false
  return toleration.operator === 'Exists' || (toleration.value ?? '') === (taint.value ?? '')
}

export const untolerated = (taints: readonly Taint[], tolerations: readonly Toleration[]): readonly Taint[] =>
  taints.filter((taint) => !tolerations.some((toleration) => tolerates(toleration, taint)))
