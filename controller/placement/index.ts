export { choosePool, compare } from './fit.ts'
export { Neighbours } from './neighbours.ts'
export { byTurn, place, type Turn } from './place.ts'
export type {
  AntiAffinityTerm,
  Decision,
  Demand,
  HypervisorOffer,
  LabelSelector,
  Occupant,
  Party,
  PoolOffer,
  RejectionCount,
  SlotOffer,
  Taint,
  Toleration,
} from './types.ts'
