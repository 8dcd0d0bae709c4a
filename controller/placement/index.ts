export { choosePool, compare } from './fit.ts'
export { byTurn, place, type Turn } from './place.ts'
export type {
  Decision,
  Demand,
  HypervisorOffer,
  LabelSelector,
  PoolOffer,
  RejectionCount,
  SlotOffer,
  Taint,
  Toleration,
} from './types.ts'
