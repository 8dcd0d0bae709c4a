import type { Clock, Term } from './port.ts'

/**
 * The term of this process as leader. Until it begins, its age is nothing and everything counts as inherited: the
 * careful answer.
 */
export class LeaderTerm implements Term {
  readonly #clock: Clock
  #began: number | undefined
  #inherited: ReadonlySet<string> = new Set()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** @param uids of the objects that a live listing, made after the lease was won, has shown. */
  begin(uids: Iterable<string>): void {
    this.#inherited = new Set(uids)
    this.#began = this.#clock.monotonic()
  }

  age(): number {
    return this.#began === undefined ? 0 : this.#clock.monotonic() - this.#began
  }

  inherited(uid: string): boolean {
    return this.#began === undefined || this.#inherited.has(uid)
  }
}
