import { annotations, type VirtualMachine } from '../../api/index.ts'

/** Berth leaves the object and its machine alone. */
export const isPaused = ({ metadata }: VirtualMachine): boolean => metadata.annotations?.[annotations.paused] === 'true'
