/** What users, guests, hosts and people at hosts do: as often as the configuration allows, at any moment. */
import { switchedOff, withMachine } from './arrival.ts'
import type { Draft, Layout, View } from './draft.ts'
import type { Passes } from './passes.ts'
import { type Call, type Configuration, type Faults, type Host, isDown, type Machine, type VM } from './state.ts'

/** Tells a next state: what it is called, what changes. Spends the fault, where there is one. */
export type Tell = (fault: keyof Faults | undefined, label: () => string, change: (draft: Draft) => void) => void

export const newVM = (uid: string, since: number, hypervisor = ''): VM => ({
  uid,
  since: String(since),
  finalizer: false,
  deleting: false,
  powerState: 'Running',
  slot: '',
  hypervisor,
  runSeen: false,
  halted: false,
  restart: 'None',
  saving: false,
  diskMade: false,
})

/** Nobody waits for the answers of those workers any more. */
export const abandon = (calls: readonly Call[], isMeant: (call: Call) => boolean): Call[] =>
  calls.map((call) => (isMeant(call) ? { ...call, controller: -1, worker: -1 } : call))

export function tellUsers(
  view: View,
  { vms, faults, powerStates = ['Running', 'Stopped'] }: Configuration,
  layout: Layout,
  tell: Tell,
): void {
  const left = view.faults
  for (const [index, name] of vms.entries()) {
    const vm = view.object(index) as VM | null
    if (!vm) {
      const made = (faults.create ?? 0) - (left.create ?? 0)
      tell(
        'create',
        () => `user creates ${name}${made + 2}`,
        (draft) => draft.setWritten(index, newVM(`${name}${made + 2}`, layout.vms + made)),
      )
      continue
    }
    if (vm.deleting) continue
    for (const powerState of powerStates) {
      if (powerState === vm.powerState) continue
      tell(
        'power',
        () => `user sets ${vm.uid} ${powerState}`,
        (draft) => draft.setWritten(index, { ...vm, powerState }),
      )
    }
    // One that is begun is finished first; the API refuses it beside Suspended and Paused.
    if (vm.restart === 'None' && (vm.powerState === 'Running' || vm.powerState === 'Stopped')) {
      tell(
        'token',
        () => `user asks for a restart of ${vm.uid}`,
        (draft) => draft.setWritten(index, { ...vm, restart: 'Asked' }),
      )
    }
    if (vm.restart === 'Asked') {
      tell(
        'token',
        () => `user takes the restart of ${vm.uid} back`,
        (draft) => draft.setWritten(index, { ...vm, restart: 'None' }),
      )
    }
    tell(
      'delete',
      () => `user deletes ${vm.uid}`,
      (draft) => draft.setWritten(index, vm.finalizer ? { ...vm, deleting: true } : null),
    )
  }
}

export function tellHosts(view: View, passes: Passes, tell: Tell): void {
  for (const [index, name] of passes.hostNames.entries()) {
    const host = view.host(index)
    const set = (changed: Host) => (draft: Draft) => draft.setHost(index, changed)
    const each = (change: (machine: Machine) => Machine | undefined) => (draft: Draft) =>
      draft.setHost(
        index,
        Object.entries(host.machines).reduce((now, [uid, machine]) => withMachine(now, uid, change(machine)), host),
      )
    if (host.up) {
      tell(
        'down',
        () => `${name} becomes unreachable`,
        (draft) => {
          draft.setHost(index, { ...host, up: false })
          breakConnections(draft, index)
        },
      )
    } else tell(undefined, () => `${name} is reachable again`, set({ ...host, up: true }))
    tell(
      'reboot',
      () => `${name} reboots`,
      each((machine) => {
        const off = isDown(machine) ? machine : switchedOff(machine, 'Unknown')
        return off && { ...off, reason: 'Unknown' }
      }),
    )
    tell(
      'restart',
      () => `the daemon of ${name} restarts`,
      each((machine) => ({ ...machine, reason: 'Unknown' })),
    )
    for (const [uid, machine] of Object.entries(host.machines)) {
      tellMachine(uid, machine, (changed) => set(withMachine(host, uid, changed)), tell)
    }
  }
}

function tellMachine(
  uid: string,
  machine: Machine,
  set: (changed: Machine | undefined) => (draft: Draft) => void,
  tell: Tell,
): void {
  if (machine.saving) {
    const saved = { ...machine, power: 'Suspended', reason: 'Unknown', saving: false } as const
    tell(undefined, () => `the memory of ${uid} is saved`, set(saved))
  }
  if (machine.power === 'Running') {
    tell('guest', () => `guest ${uid} shuts itself down`, set(switchedOff(machine, 'Guest')))
    tell('pause', () => `a person pauses ${uid}`, set({ ...machine, power: 'Paused' }))
    if (!machine.transient) {
      tell('save', () => `a person saves ${uid}`, set({ ...machine, power: 'Suspended', reason: 'Unknown' }))
      tell(
        'undefine',
        () => `a person undefines ${uid} as it runs`,
        set({ ...machine, transient: true, parked: false }),
      )
    }
  }
  tell('remove', () => `a person removes ${uid} from its host`, set(undefined))
}

/** Whoever waits on that host is told that the effect of his call is unknown. */
function breakConnections(draft: Draft, host: number): void {
  const isCut = (call: Call) => call.controller >= 0 && call.action.kind === 'Host' && call.action.host === host
  const cut = draft.calls.filter(isCut)
  if (cut.length === 0) return
  for (const { controller, worker } of cut) freeWorker(draft, controller, worker)
  draft.setCalls(abandon(draft.calls, isCut))
}

export function freeWorker(draft: Draft, controller: number, worker: number): void {
  const before = draft.controller(controller)
  draft.setController(controller, { ...before, workers: before.workers.with(worker, null) })
}

/** A controller begins anew: it remembers nothing, and what it sent is on its way still. */
export function restart(draft: Draft, controller: number, leads: boolean): void {
  const workers = draft.controller(controller).workers.map(() => null)
  draft.setController(controller, { leads, deposed: false, workers, stale: {}, asked: {} })
  if (draft.calls.some((call) => call.controller === controller))
    draft.setCalls(abandon(draft.calls, (call) => call.controller === controller))
}
