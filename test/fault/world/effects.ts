/** Every effect that leaves the controller through one of its two ports: numbered, and the place of faults. */
import { type Life, never } from './life.ts'

/**
 * Where the process is when the fault comes:
 * - `before`: it has decided, and sends nothing
 * - `after-effect`: the effect has happened, the answer never arrives
 * - `after-answer`: the answer has arrived, nothing further is sent
 * - `late`: it has sent the call, which arrives while the next process is at work already
 */
export const positions = ['before', 'after-effect', 'after-answer', 'late'] as const
export type Position = (typeof positions)[number]

export interface EffectDescription {
  readonly port: 'API' | 'host'
  readonly verb: string
  readonly target: string
  /** It is a moment within another effect (a part of an upload): only `before` it is a position of its own. */
  readonly moment?: true
}

export interface Effect extends EffectDescription {
  readonly number: number
  /** Virtual milliseconds since the world began. */
  readonly at: number
  /** Which process sent it, counted from 1. */
  readonly process: number
  /** How it ended; absent: it did not arrive yet, or never. */
  outcome?: string
  /** The process has its answer. */
  answered?: true
}

export interface EffectHooks {
  /** Before it is sent. Whether it is sent now; `send` sends it at another time. */
  readonly reached: (effect: Effect, life: Life, send: () => Promise<unknown>) => boolean
  /** It has happened. */
  readonly arrived: (effect: Effect) => void
  /** The answer is there. Whether it reaches the process. */
  readonly answered: (effect: Effect, life: Life) => boolean
  /** The answer has reached the process. */
  readonly ended: (effect: Effect, life: Life) => void
}

export class Effects {
  readonly list: Effect[] = []
  /** Before the workload itself begins, nothing is numbered. */
  counting = false
  readonly #now: () => number
  readonly #processOf: (life: Life) => number
  readonly #hooks: EffectHooks

  constructor(now: () => number, processOf: (life: Life) => number, hooks: EffectHooks) {
    this.#now = now
    this.#processOf = processOf
    this.#hooks = hooks
  }

  async perform<T>(life: Life, description: EffectDescription, work: () => Promise<T>): Promise<T> {
    if (!life.sends) return never()
    const number = this.counting ? this.list.length + 1 : 0
    const effect: Effect = { ...description, number, at: this.#now(), process: this.#processOf(life) }
    if (this.counting) this.list.push(effect)
    const send = () => this.#arrive(effect, work)
    if (!this.#hooks.reached(effect, life, send)) return never()
    const answer = send()
    await answer.catch(() => {})
    if (!this.#hooks.answered(effect, life)) return never()
    if (!life.dead) effect.answered = true
    const seen = life.answered(answer)
    this.#hooks.ended(effect, life)
    return seen
  }

  /** The effect itself, whoever waits for it. */
  async #arrive<T>(effect: Effect, work: () => Promise<T>): Promise<T> {
    try {
      const answer = await work()
      effect.outcome = 'done'
      this.#hooks.arrived(effect)
      return answer
    } catch (error) {
      effect.outcome = String((error as { code?: unknown }).code ?? error)
      throw error
    }
  }
}
