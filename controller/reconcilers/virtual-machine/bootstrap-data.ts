/** What the user gives the guest to read at first boot: from the spec, or from Secrets of its namespace. */
import { parseDocument } from 'yaml'
import type { VirtualMachine } from '../../api/index.ts'
import type { KubeClient } from '../../kube/port.ts'
import { secrets } from '../../kube/resources.ts'
import type { Desired, Problem } from './model.ts'
import { wantsToRun } from './plan.ts'
import { problem, type Resolution } from './resolution.ts'

export interface BootstrapData {
  readonly userData?: string
  /** Instead of the network data that Berth makes. */
  readonly networkData?: string
  readonly problem?: Problem
}

export const hasOwnNetworkData = ({ spec: { bootstrap } }: VirtualMachine): boolean =>
  bootstrap?.cloudInit?.networkData !== undefined || bootstrap?.cloudInit?.networkDataSecretRef !== undefined

const at = 'spec.bootstrap.cloudInit'

/** Read only until the guest has read it: the Secret behind it may be gone by then. */
export async function readBootstrapData(
  vm: VirtualMachine,
  desired: Desired,
  means: { readonly client: KubeClient },
  signal: AbortSignal,
): Promise<BootstrapData> {
  const isRead = vm.status?.firstBootTime !== undefined
  const secretsCount = wantsToRun(desired) && !isRead
  const { userData, networkData } = vm.spec.bootstrap?.cloudInit ?? {}
  const user = userData !== undefined ? { value: userData } : await fromSecret(vm, 'userDataSecretRef')
  const network = networkData !== undefined ? { value: networkData } : await fromSecret(vm, 'networkDataSecretRef')
  if (user && 'problem' in user) return user
  if (network && 'problem' in network) return network
  const from = networkData === undefined ? 'networkDataSecretRef' : 'networkData'
  const wrong = network && !isRead ? networkDataProblem(network.value, `${at}.${from}`) : undefined
  return {
    ...(user ? { userData: user.value } : {}),
    ...(network ? { networkData: network.value } : {}),
    ...(wrong ? { problem: wrong } : {}),
  }

  async function fromSecret(
    { metadata: { namespace = '' }, spec }: VirtualMachine,
    field: 'userDataSecretRef' | 'networkDataSecretRef',
  ): Promise<Resolution<string> | undefined> {
    const reference = spec.bootstrap?.cloudInit?.[field]
    if (!reference || !secretsCount) return undefined
    const { name, key } = reference
    const secret = await means.client.get(secrets, { namespace, name }, { signal })
    if (!secret)
      return problem('SecretNotFound', `${at}.${field}: there is no Secret ${name} in namespace ${namespace}`)
    const encoded = secret.data?.[key]
    if (encoded === undefined) return problem('SecretKeyMissing', `${at}.${field}: Secret ${name} has no key ${key}`)
    return { value: Buffer.from(encoded, 'base64').toString('utf8') }
  }
}

/** Never with the text itself: it may hold secrets. */
function networkDataProblem(text: string, field: string): Problem | undefined {
  const refused = (what: string): Problem => ({ code: 'InvalidConfiguration', message: `${field}: ${what}` })
  const document = parseDocument(text, { version: '1.1' })
  const [error] = document.errors
  if (error) return refused(`is not YAML (line ${error.linePos?.[0].line ?? 1}: ${error.code})`)
  const read: unknown = document.toJS({ maxAliasCount: 0 })
  const outer = isMap(read) && isMap(read['network']) ? read['network'] : read
  if (!isMap(outer)) return refused('must be a map in YAML, with version: 1 or version: 2')
  if (outer['version'] !== 1 && outer['version'] !== 2)
    return refused('must say version: 1 or version: 2 (cloud-init, network configuration)')
  return undefined
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
