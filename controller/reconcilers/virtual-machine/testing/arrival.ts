/** The effect of a call when it arrives, however late. Each answers what must not have happened by it. */
import { type Draft, withEntry } from './draft.ts'
import type { Protocol } from './protocol.ts'
import {
  type Action,
  type Call,
  type Configuration,
  type Host,
  isDown,
  type Machine,
  nameOf,
  type VM,
} from './state.ts'

export function arrive(
  draft: Draft,
  { action, fresh, beyondT }: Call,
  configuration: Configuration,
  { shortcut }: Protocol,
): string | undefined {
  if (action.kind === 'Host') {
    const kept = beyondT ? undefined : findLostMemory(draft, action, configuration)
    return kept ?? onHost(draft, action, configuration, shortcut === 'ByName')
  }
  const forced = shortcut === 'ClaimWithoutVersion' && action.kind === 'Slot' && action.set.phase === 'Bound'
  if (!fresh && !forced) return undefined
  if (action.kind === 'Slot') {
    draft.setWritten(action.object, action.set)
    return undefined
  }
  const vm = draft.object(action.object) as VM | null
  if (vm?.uid !== action.uid) return undefined
  const written = { ...vm, ...action.set }
  draft.setWritten(action.object, written.deleting && !written.finalizer ? null : written)
  return undefined
}

/** What goes off: what was never defined is gone then. */
export const switchedOff = (machine: Machine, reason: Machine['reason']): Machine | undefined =>
  machine.transient ? undefined : { ...machine, power: 'Stopped', reason, saving: false }

export const withMachine = (host: Host, uid: string, machine: Machine | undefined): Host => ({
  ...host,
  machines: withEntry(host.machines, uid, machine),
})

function onHost(
  draft: Draft,
  { host: index, uid: wanted, verb, slot }: Extract<Action, { kind: 'Host' }>,
  { vms, retained, deaf }: Configuration,
  byName: boolean,
): string | undefined {
  const host = draft.host(index)
  const destroys = verb === 'Park' || verb === 'ShutDown' || verb === 'PowerOff' || verb === 'Undefine'
  const namesake =
    byName && destroys ? Object.keys(host.machines).find((other) => nameOf(other) === nameOf(wanted)) : undefined
  const uid = namesake ?? wanted
  const machine = host.machines[uid]
  const vm = draft.object(vms.indexOf(nameOf(uid))) as VM | null | undefined
  const lives = vm?.uid === uid && !vm.deleting
  const set = (changed: Machine | undefined) => draft.setHost(index, withMachine(host, uid, changed))
  if (uid !== wanted) return `${verb} that is meant for ${wanted} hits ${uid}`
  switch (verb) {
    case 'CreateDisk':
      if (!host.volumes.includes(uid)) draft.setHost(index, { ...host, volumes: [...host.volumes, uid].sort() })
      return undefined
    case 'Define':
    case 'DefineAndStart': {
      const defined = { parked: false, transient: false, slot }
      const off = { power: 'Stopped', reason: 'Unknown' } as const
      const started = verb === 'DefineAndStart' ? ({ power: 'Running', reason: 'Unknown' } as const) : {}
      set({ ...off, saving: false, ...machine, ...defined, ...started })
      return undefined
    }
    case 'Start':
    case 'StartPaused': {
      const started = verb === 'Start' ? 'Running' : 'Paused'
      // A start that is refused wipes the reason of the last stop.
      if (machine && isDown(machine))
        set({ ...machine, power: machine.parked ? machine.power : started, reason: 'Unknown' })
      return undefined
    }
    case 'Pause':
      if (machine?.power === 'Running') set({ ...machine, power: 'Paused' })
      return undefined
    case 'Unpause':
      if (machine?.power === 'Paused' && !machine.saving) set({ ...machine, power: 'Running' })
      return undefined
    case 'Suspend':
      // What is not defined cannot be saved.
      // The host goes on with it, whether anybody waits or not.
      if (machine && !isDown(machine) && !machine.transient) set({ ...machine, power: 'Paused', saving: true })
      return undefined
    case 'DiscardMemory':
      if (machine?.power !== 'Suspended') return undefined
      set({ ...machine, power: 'Stopped', reason: 'Unknown' })
      return undefined
    case 'Park':
      // A saved state would start in spite of it: refused.
      if (machine && machine.power !== 'Suspended') set({ ...machine, parked: true, transient: false })
      return undefined
    case 'ShutDown':
      if (machine?.power === 'Running' && !deaf?.includes(nameOf(uid))) set(switchedOff(machine, 'Guest'))
      return undefined
    case 'PowerOff':
      if (!machine || isDown(machine)) return undefined
      if (vm?.uid !== uid) return `the running guest ${uid} is destroyed because it has no object`
      set(switchedOff(machine, 'Outside'))
      return undefined
    case 'Undefine':
      if (lives) return `${uid} is undefined while its object lives`
      if (machine) set(isDown(machine) ? undefined : { ...machine, transient: true, parked: false })
      return undefined
    case 'DeleteVolume':
      if (lives || retained?.includes(nameOf(uid))) return `the disk of ${uid} is deleted`
      if (machine && !isDown(machine)) return `the disk of ${uid} is deleted under a running guest`
      draft.setHost(index, { ...host, volumes: host.volumes.filter((other) => other !== uid) })
      return undefined
  }
}

/** Saved memory is thrown away only in a stop that has begun: while its claim is being given back, or of what is deleted. */
function findLostMemory(
  draft: Draft,
  { host, uid, verb }: Extract<Action, { kind: 'Host' }>,
  { vms }: Configuration,
): string | undefined {
  if (draft.host(host).machines[uid]?.power !== 'Suspended') return undefined
  if (verb !== 'DiscardMemory' && verb !== 'Undefine') return undefined
  const isHeld = draft.objects
    .slice(vms.length)
    .some((slot) => slot !== null && 'consumer' in slot && slot.consumer === uid && slot.phase === 'Bound')
  return isHeld ? `${verb}: the saved memory of ${uid} is thrown away` : undefined
}
