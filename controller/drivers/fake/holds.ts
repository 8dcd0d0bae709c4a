import { type CallPattern, type FakeCall, matches } from './calls.ts'

type Fate = 'Arrives' | 'Lost'

/**
 * A call that a test has in its hands: its effect and its answer are two events, and the test says when each comes.
 * What is never let go stays on its way for ever.
 */
export class HeldCall {
  readonly call: FakeCall
  readonly #arrival = Promise.withResolvers<Fate>()
  readonly #answer = Promise.withResolvers<void>()
  readonly #effect = Promise.withResolvers<void>()

  constructor(call: FakeCall) {
    this.call = call
  }

  /** Lets it arrive; resolves when it has taken effect, or was refused. The caller does not know yet. */
  async takeEffect(): Promise<void> {
    this.#arrival.resolve('Arrives')
    await this.#effect.promise
  }

  /** Lets the caller have the answer, and arrive first what has not. */
  async answer(): Promise<void> {
    await this.takeEffect()
    this.#answer.resolve()
  }

  /** It never arrives: the caller waits until its deadline. */
  lose(): void {
    this.#arrival.resolve('Lost')
  }

  /** For the host. */
  get arrival(): Promise<Fate> {
    return this.#arrival.promise
  }

  /** For the host: it took effect, or was refused; resolves when the answer may leave. */
  async done(): Promise<void> {
    this.#effect.resolve()
    await this.#answer.promise
  }
}

/** Takes calls of a pattern out of the traffic, until it is released. */
export class Hold {
  readonly pattern: CallPattern
  readonly #held: HeldCall[] = []
  readonly #waiting: ((held: HeldCall) => void)[] = []
  readonly #end: (hold: Hold) => void

  constructor(pattern: CallPattern, end: (hold: Hold) => void) {
    this.pattern = pattern
    this.#end = end
  }

  /** The next call that is held, in the order in which they were sent. */
  async next(): Promise<HeldCall> {
    return this.#held.shift() ?? (await new Promise((resolve) => this.#waiting.push(resolve)))
  }

  /** No more calls are held; those that are stay held. */
  release(): void {
    this.#end(this)
  }

  /** For the host. */
  take(call: FakeCall): HeldCall | undefined {
    if (!matches(this.pattern, call)) return undefined
    const held = new HeldCall(call)
    const waiting = this.#waiting.shift()
    if (waiting === undefined) this.#held.push(held)
    else waiting(held)
    return held
  }
}
