export { type Clock, ManualClock, systemClock } from './clock.ts'
export type { PoolControl } from './control.ts'
export { XapiError } from './errors.ts'
export {
  type PoolDescription,
  type RunningPool,
  type Simulator,
  type SimulatorOptions,
  startSimulator,
} from './simulator.ts'
export type { Fault } from './state/faults.ts'
export type { GuestBehaviour } from './state/pool.ts'
export type { HostDescription, NetworkDescription, SrDescription } from './world.ts'
