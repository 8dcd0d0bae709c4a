/**
 * A stateful hypervisor in memory, with time and faults of its own: what tests of faults and benchmarks run the
 * controller against. It passes the contract of `controller/hypervisor/contract.ts`, as real drivers do.
 *
 *     const clock = new VirtualClock()                       // of controller/runtime, or the system's
 *     const host = new FakeHypervisor({ clock, seed: 7, pools: { default: 100 * 2 ** 30 }, networks: ['default'] })
 *     const driver = fakeDriver(new Map([['qemu+tcp://kvm1/system', host]]))   // by Hypervisor.spec.libvirt.uri
 *     const session = await driver.connect({ uri: 'qemu+tcp://kvm1/system', callTimeout: 30_000 })
 *
 * The host outlives its sessions: a controller is abandoned, another one connects, and what was on its way still
 * arrives. Without latencies and faults a call is done at once, without a timer.
 *
 * - Time: `latencies` per method (to the host, at the host, to the caller), `releaseDelay` after a stop (a start is
 *   HypervisorBusy until the host has cleared the last run away), `saveTime` of a suspend (Paused by a Job, and
 *   HypervisorBusy; goes on after the caller's deadline), `guests` (time to boot, to shut down and to let go of a
 *   device, or deaf).
 * - Calls: `setFaults(rules)`, seeded: refused, lost, unanswered, late, slow (HypervisorBusy for others meanwhile),
 *   disconnected before or after the effect, an image cut short. After its deadline a call is Ambiguous and goes on.
 * - Exact order: `const hold = host.hold({ method: 'start' }); const call = await hold.next();
 *   await call.takeEffect(); await call.answer()`, or `call.lose()`. Effect and answer are two events.
 * - Events: `eventFaults` (delay, lost, doubled; a range of delays changes their order), `loseEvents()` tells of a Gap.
 * - Host: `hang`/`resume`, `disconnect`, `refuseConnections`/`acceptConnections`, `restartDaemon`, `reboot`.
 * - Others: `addForeign`, `turnOff(id, 'Guest')`, `makeTransient`, `save`, `snapshotDisks`, `attachForeignDisk`,
 *   `attachForeignInterface`, `removeMachine`, `addPool`, `networks`, `storage.pools`; `setAddresses`.
 * - Oracles: `journal` (each mutation that arrived: Changed, Unchanged or the code of its refusal), `inventory(host)`,
 *   `watchForDoubles(hosts)`.
 */
export type { CallPattern, FakeCall } from './calls.ts'
export type { Clock } from './clock.ts'
export { type FakeHosts, fakeDriver } from './driver.ts'
export type { EventFaults } from './events.ts'
export type { Fault, FaultRule, Latencies, Latency } from './faults.ts'
export type { HeldCall, Hold } from './holds.ts'
export { FakeHypervisor, type FakeHypervisorOptions } from './host.ts'
export { type Inventory, inventory, watchForDoubles } from './inventory.ts'
export type { Guests } from './machines.ts'
export type { Duration } from './random.ts'
export type { JournalEntry } from './traffic.ts'
