import type { ErrorCode } from '../errors/index.ts'
import type { Session } from './port.ts'

/** Whether a hypervisor can be worked with now. */
export type HostState =
  | { readonly connected: true; readonly session: Session; readonly callTimeout: number }
  | {
      readonly connected: false
      readonly code: ErrorCode
      readonly message: string
      /** This process has not tried yet: of the host nothing is known, and nothing is told, least of all that it is away. */
      readonly untried?: true
    }

/** The sessions that are open, by name of the Hypervisor. Only its reconciler opens and closes them. */
export interface Hosts {
  get(hypervisor: string): HostState
}

export class HostRegistry implements Hosts {
  readonly #states = new Map<string, HostState>()
  readonly #listeners: ((hypervisor: string) => void)[] = []

  get(hypervisor: string): HostState {
    return (
      this.#states.get(hypervisor) ?? {
        connected: false,
        code: 'HypervisorUnreachable',
        message: `hypervisor ${hypervisor} is not connected yet`,
        untried: true,
      }
    )
  }

  set(hypervisor: string, state: HostState): void {
    const before = this.#states.get(hypervisor)
    this.#states.set(hypervisor, state)
    if (
      before?.connected !== state.connected ||
      (state.connected && before?.connected && before.session !== state.session)
    ) {
      for (const listener of this.#listeners) listener(hypervisor)
    }
  }

  remove(hypervisor: string): void {
    if (this.#states.delete(hypervisor)) for (const listener of this.#listeners) listener(hypervisor)
  }

  names(): readonly string[] {
    return [...this.#states.keys()]
  }

  /** Called when a hypervisor was connected, lost, or forgotten. */
  onChange(listener: (hypervisor: string) => void): void {
    this.#listeners.push(listener)
  }
}
