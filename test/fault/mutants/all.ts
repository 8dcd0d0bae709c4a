import type { Mutant } from './mutant.ts'

const plan = 'controller/reconcilers/virtual-machine/plan.ts'

export const mutants: readonly Mutant[] = [
  {
    name: 'drop-the-guard',
    title: "the leader's guard is not asked before a mutation",
    patches: [
      {
        file: 'controller/kube/client.ts',
        from: 'beforeSend: () => this.#guard.check()',
        to: 'beforeSend: () => {}',
      },
    ],
    foundBy: { workload: 'create', effect: 'createDisk', position: 'after-effect', stopFor: 30_000 },
    symptom: 'sent by a process that leads no more',
  },
  {
    name: 'skip-the-live-read',
    title: 'steps are decided on the cache alone',
    patches: [
      {
        file: 'controller/reconcilers/virtual-machine/reconciler.ts',
        from: 'if (!needsLiveRead(step)) return',
        to: 'return',
      },
    ],
    foundBy: { workload: 'stop-revoked' },
    symptom: 'set Releasing slots/kvm1-small-0: 1 times, without faults 0',
  },
  {
    name: 'random-id',
    title: 'the instance id is made by chance, and remembered by the process alone',
    patches: [
      {
        file: 'controller/reconcilers/virtual-machine/observe.ts',
        from: 'const desired = desiredOf(vm, claimed)',
        to: `const ids = memory.ids ??= new Map()
  const id = ids.get(vm.metadata.uid) ?? \`\${Math.random()}\`.slice(2)
  ids.set(vm.metadata.uid, id)
  vm = { ...vm, status: { ...vm.status, instanceID: id } }
  const desired = desiredOf(vm, claimed)`,
      },
    ],
    foundBy: { workload: 'create', effect: 'define', position: 'after-effect' },
    symptom: 'the host runs team_web there',
  },
  {
    name: 'release-on-desired-state',
    title: 'a slot is given back as soon as its machine is to be stopped',
    patches: [
      {
        file: plan,
        from: '// Parked first',
        to: `const [claim] = desired.claims
  if (claim) return { do: 'Release', slot: claim.slot }
  // Parked first`,
      },
    ],
    foundBy: { workload: 'slot-handed-over' },
    symptom: 'without a claim',
  },
  {
    name: 'ignore-410',
    title: 'a watch whose history is gone is asked for again, not listed anew',
    patches: [
      {
        file: 'controller/kube/informer.ts',
        from: 'if (mustListAgain(error)) this.#state',
        to: 'if (false) this.#state',
      },
    ],
    foundBy: { workload: 'watch-expires' },
    symptom: 'never reached: web is gone',
  },
  {
    name: 'trust-an-existing-volume',
    title: 'an image counts as placed when its volume is there, without its completion marker',
    patches: [
      {
        file: 'controller/reconcilers/image/placing.ts',
        from: "if (placed.state === 'Complete')",
        to: "if (placed.state !== 'Absent')",
      },
      {
        file: 'controller/reconcilers/virtual-machine/act.ts',
        from: "if (placed.state !== 'Complete')",
        to: "if (placed.state === 'Absent')",
      },
    ],
    foundBy: { workload: 'create', effect: 'send part 2', position: 'before' },
    symptom: 'never reached: web runs',
  },
  {
    name: 'no-waiting-for-late-calls',
    title: 'the finalizer goes though a call may still be on its way',
    patches: [
      { file: plan, from: "observed.settled ? { do: 'RemoveFinalizer' }", to: "true ? { do: 'RemoveFinalizer' }" },
      {
        file: plan,
        from: "observed.settled ? { do: 'Release', slot: claim.slot }",
        to: "true ? { do: 'Release', slot: claim.slot }",
      },
    ],
    foundBy: { workload: 'delete', effect: 'createDisk', position: 'late' },
    symptom: 'at the end host kvm1/pool default differs',
  },
  {
    name: 'tell-of-untried-hosts',
    title: 'a process that has just begun tells that every host is away',
    patches: [
      {
        file: 'controller/reconcilers/shared/untried.ts',
        from: 'return !host.connected && host.untried === true',
        to: 'return false',
      },
    ],
    foundBy: { workload: 'create' },
    symptom: 'a start where there is nothing to do writes',
  },
  {
    name: 'start-before-the-lease',
    title: 'a machine is defined and started before its addresses are leased',
    patches: [
      {
        file: 'controller/reconcilers/virtual-machine/lease-first.ts',
        from: "const uses = step.do === 'Define' || step.do === 'Start' || step.do === 'BeginRestart'",
        to: 'const uses = false',
      },
    ],
    foundBy: { workload: 'create' },
    symptom: 'without a lease',
  },
  {
    name: 'trust-an-old-listing',
    title: 'a slot counts as empty by a listing of its host from before the machine that was left there',
    patches: [
      {
        file: 'controller/reconcilers/slot/reconciler.ts',
        from: 'await list(isLeft)',
        to: 'await list(false)',
      },
    ],
    foundBy: { workload: 'deleted-retained' },
    symptom: 'never reached: its slot is occupied',
  },
]
