/** Status and conditions of a Hypervisor. Pure. */
import { formatBytes, type Hypervisor, type HypervisorStatus, type Slot } from '../../api/index.ts'
import type { ErrorCode } from '../../errors/index.ts'
import type { HostInformation, InventoryEntry } from '../../hypervisor/port.ts'
import type { ConditionFact } from '../../runtime/port.ts'
import { isFalse, isTrue, isUnknown, summarize } from '../shared/conditions.ts'

export interface Sight {
  /** Present while connected. */
  readonly information?: HostInformation
  readonly inventory?: readonly InventoryEntry[]
  /** Why it is not connected. */
  readonly problem?: { readonly code: ErrorCode; readonly message: string }
}

const mostUnmanaged = 100

export function fieldsOf(
  hypervisor: Hypervisor,
  sight: Sight,
  slots: readonly Slot[],
  cluster: string,
  now: string,
): Omit<HypervisorStatus, 'conditions' | 'observedGeneration'> {
  const previous = hypervisor.status ?? {}
  const { information, inventory } = sight
  const known = information ? described(hypervisor, information) : keepDescription(previous)
  const counted = {
    total: slots.length,
    free: slots.filter(({ status }) => status?.phase === 'Free').length,
    bound: slots.filter(({ status }) => status?.phase === 'Bound' || status?.phase === 'Releasing').length,
  }
  const foreign = inventory?.filter(({ tag }) => !tag || tag.released).map(({ hostName }) => hostName)
  const unmanaged = foreign
    ? {
        count: foreign.length,
        machines: foreign.toSorted().slice(0, mostUnmanaged),
        memory: formatBytes(memoryBeside(inventory ?? [], slots, cluster)),
      }
    : previous.unmanaged
  const lastSeen = information ? (previous.lastSeenTime ?? minuteOf(now)) : lastSeenTime(hypervisor, now)
  return {
    ...known,
    slots: counted,
    ...(unmanaged ? { unmanaged } : {}),
    ...(lastSeen === undefined ? {} : { lastSeenTime: lastSeen }),
  }
}

/**
 * Bytes that running machines may have which hold none of the slots. What runs under the tag of a slot is that slot's
 * affair, claimed or not: it is Occupied then.
 */
function memoryBeside(inventory: readonly InventoryEntry[], slots: readonly Slot[], cluster: string): number {
  const names = new Set(slots.map(({ metadata }) => metadata.name))
  return inventory
    .filter(({ power }) => power === 'Running' || power === 'Paused')
    .filter(({ tag }) => tag === undefined || tag.cluster !== cluster || !names.has(tag.slot))
    .reduce((sum, { memory = 0 }) => sum + memory, 0)
}

/** Written when contact is made, and when it is lost; a heartbeat each minute would be a write each minute. */
function lastSeenTime({ status }: Hypervisor, now: string): string | undefined {
  const wasReachable = status?.conditions?.some(({ type, status: value }) => type === 'Reachable' && value === 'True')
  return wasReachable ? minuteOf(now) : status?.lastSeenTime
}

const minuteOf = (now: string): string => `${now.slice(0, 16)}:00Z`

type Description = Pick<HypervisorStatus, 'id' | 'driver' | 'version' | 'hosts' | 'capacity' | 'capabilities'>

function described({ spec }: Hypervisor, information: HostInformation): Description {
  const { id, hostName, version, cpus, memory, capabilities } = information
  const members = information.members ?? [{ id, hostName, online: true, cpus, memory }]
  const { architectures, accelerators, modes, firmware, storageTypes, features } = capabilities
  return {
    id,
    driver: spec.xapi ? 'xapi' : 'libvirt',
    version,
    hosts: members.map((member) => ({
      name: member.hostName,
      uuid: member.id,
      state: member.online ? 'Online' : 'Offline',
      cpus: member.cpus,
      memory: formatBytes(member.memory),
    })),
    capacity: { cpus, memory: formatBytes(memory) },
    capabilities: { architectures, accelerators, modes, firmware, storageTypes, features },
  } as Description
}

function keepDescription(previous: HypervisorStatus): Description {
  const { id, driver, version, hosts, capacity, capabilities } = previous
  const offline = hosts?.map((host) => ({ ...host, state: 'Offline' as const }))
  return Object.fromEntries(
    Object.entries({ id, driver, version, hosts: offline, capacity, capabilities }).filter(
      ([, value]) => value !== undefined,
    ),
  )
}

/** Which condition tells of a failure to connect, and the reason there. */
const credentialReasons: Partial<Record<ErrorCode, string>> = {
  CredentialsInvalid: 'LoginFailed',
  SecretNotFound: 'SecretNotFound',
  SecretKeyMissing: 'SecretKeyMissing',
  FileNotFound: 'FileNotFound',
}

/** `left`: the machines that hold slots of a hypervisor that is Draining; absent: it is not. */
export function factsOf(
  sight: Sight,
  slotsReady: ConditionFact,
  deleting: ConditionFact | undefined,
  left?: readonly string[],
): ConditionFact[] {
  return [...summarize(deleting ?? ready(sight, slotsReady, left)), ...connection(sight), slotsReady]
}

function ready({ problem, information }: Sight, slotsReady: ConditionFact, left?: readonly string[]): ConditionFact {
  if (problem) return isFalse('Ready', problem.code, problem.message)
  if (!information) return isUnknown('Ready', 'NotTried', 'not connected yet')
  // More slots than memory is the administrator's choice, told in SlotsReady; machines can be placed all the same.
  if (slotsReady.status !== 'True' && slotsReady.reason !== 'OverCapacity' && slotsReady.reason !== 'ShrinkPending') {
    return { ...slotsReady, type: 'Ready' }
  }
  const told = `${information.hostName}, ${information.version}`
  return isTrue('Ready', 'Available', left === undefined ? told : `${told}; ${draining(left)}`)
}

const draining = (left: readonly string[]): string =>
  left.length === 0
    ? 'Draining: it is empty'
    : `Draining: ${left.length} hold slots until they are stopped or deleted: ${someOf(left)}`

const mostNamed = 10

/** The first of them, and how many more there are. */
export const someOf = (names: readonly string[]): string =>
  names.slice(0, mostNamed).join(', ') + (names.length > mostNamed ? ` and ${names.length - mostNamed} more` : '')

function connection({ problem, information }: Sight): ConditionFact[] {
  if (information) {
    return [isTrue('Reachable', 'Connected', 'it answers'), isTrue('CredentialsValid', 'LoggedIn', 'it let Berth in')]
  }
  if (!problem) return [isUnknown('Reachable', 'NotTried', 'not connected yet')]
  const credentials = credentialReasons[problem.code]
  if (credentials !== undefined) {
    return [
      isUnknown('Reachable', 'NotTried', problem.message),
      isFalse('CredentialsValid', credentials, problem.message),
    ]
  }
  const reason =
    problem.code === 'CallTimedOut' ? 'TimedOut' : problem.code === 'ConnectionLost' ? 'ConnectionLost' : 'Refused'
  return [isFalse('Reachable', reason, problem.message)]
}
