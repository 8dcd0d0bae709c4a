import { kubectlWithInput } from '../../support/kubectl.ts'

/** As kubectl writes it: `virtualmachines.berth.dev`, `secrets`, with `/status` behind, and `=name` for one object. */
export interface Question {
  readonly verb: string
  readonly resource: string
  readonly namespace?: string
}

export interface Subject {
  readonly user: string
  readonly groups: readonly string[]
}

export const serviceAccount = (namespace: string, name: string): Subject => ({
  user: `system:serviceaccount:${namespace}:${name}`,
  groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
})

/** What RBAC says to each question; what `kubectl auth can-i` asks, but hundreds of them in one process. */
export async function allowed(
  target: { readonly kubectl: string; readonly kubeconfig: string },
  subject: Subject,
  questions: readonly Question[],
): Promise<readonly boolean[]> {
  const items = questions.map(({ verb, resource, namespace }) => {
    const [what = '', name] = resource.split('=')
    const [path = '', subresource] = what.split('/')
    const [plural = '', ...group] = path.split('.')
    return {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: {
        ...subject,
        resourceAttributes: { verb, resource: plural, group: group.join('.'), subresource, name, namespace },
      },
    }
  })
  const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items })
  const output = await kubectlWithInput(target, list, 'create', '--filename=-', '--output=jsonpath={.status.allowed} ')
  const answers = output.trim().split(' ')
  if (answers.length !== questions.length) throw new Error('the API server left questions open')
  return answers.map((answer) => answer === 'true')
}
