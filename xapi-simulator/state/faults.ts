import type { XapiError } from '../errors.ts'

/** What is to go wrong with a call or a transfer. */
export type Fault =
  /** It is answered later. */
  | { readonly kind: 'delay'; readonly milliseconds: number }
  /** It is never answered, though the connection stays; `after` has it carried out all the same. */
  | { readonly kind: 'hang'; readonly when: 'before' | 'after' }
  /** The connection is reset; `after` has it carried out all the same. */
  | { readonly kind: 'reset'; readonly when: 'before' | 'after' }
  /** It fails with an error of XAPI, without effect. */
  | { readonly kind: 'fail'; readonly error: XapiError }
  /** The connection of a transfer is reset once so many bytes of the body have passed. */
  | { readonly kind: 'cut'; readonly afterBytes: number }

interface Planned {
  readonly method: string
  readonly fault: Fault
  remaining: number
}

/** The faults that are planned, by the name of a message (`VM.start`) or the path of a transfer (`/import_raw_vdi`). */
export class Faults {
  #planned: Planned[] = []

  /**
   * Plans a fault for the next calls of a method, `Infinity` for all from now on. The name without `Async.` meets both
   * forms of a call; with it, only that.
   */
  plan(method: string, fault: Fault, times = 1): void {
    this.#planned.push({ method, fault, remaining: times })
  }

  get planned(): readonly string[] {
    return this.#planned.map(({ method }) => method)
  }

  clear(): void {
    this.#planned = []
  }

  /** Takes the faults that meet a call. */
  take(method: string): Fault[] {
    const met = this.#planned.filter((planned) => planned.method === method || `Async.${planned.method}` === method)
    for (const planned of met) planned.remaining--
    this.#planned = this.#planned.filter(({ remaining }) => remaining > 0)
    return met.map(({ fault }) => fault)
  }
}
