/** What the planner of a machine's network interfaces decides on. */
import type { InterfaceSpec } from '../../hypervisor/port.ts'
import type { Problem } from './model.ts'

/** One that is declared. */
export interface InterfaceFacts {
  readonly name: string
  /** In lower case. */
  readonly macAddress: string
  /** Network that it is declared to be on. Absent: none can be told. */
  readonly network?: string
  /** What its host is told. Absent: there is a problem with its network. */
  readonly spec?: InterfaceSpec
  readonly problem?: Problem
}

export type InterfaceWork = 'AttachInterface' | 'DetachInterface'

/** What was tried lately, and is not to be tried again yet. `problem`: it was refused. */
export interface InterfaceAttempt {
  readonly work: InterfaceWork
  readonly macAddress: string
  readonly problem?: Problem
}
