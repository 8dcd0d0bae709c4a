import {
  type Connection,
  type DomainInterface,
  InterfaceAddressesSource,
  LibvirtAbortError,
  LibvirtError,
  LibvirtTimeoutError,
} from 'node-libvirt'
import { Limiter } from '../../hypervisor/limiter.ts'

/** Of one question, and of the wait for its turn; ms. */
const deadline = 5_000
/** After which libvirt itself gives up: until then it holds the domain, in the way of all other calls about it; s. */
const libvirtDeadline = 4
/** A refusal that took this long means a guest that does not answer; without an agent, libvirt refuses at once; ms. */
const slow = 1_000
/** How long an answer is good for those who find no turn, and a guest that did not answer is left alone; ms. */
const memory = 60_000

/**
 * What guests' agents say of their interfaces. A guest decides how long libvirt waits for its agent, so it is asked
 * with a short deadline, two guests of a host at a time and each once, and after no answer not again for a minute.
 */
export class AgentInterfaces {
  readonly #limiter = new Limiter(2)
  readonly #asking = new Map<string, Promise<readonly DomainInterface[]>>()
  /** No answer in time: undefined. */
  readonly #answers = new Map<string, { readonly at: number; readonly answer?: readonly DomainInterface[] }>()
  readonly #now: () => number

  /** `now`: a monotonic clock; ms. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** None where there is no agent, or no answer. Callers at the same time share one question. */
  async read(instanceID: string, connect: () => Promise<Connection>): Promise<readonly DomainInterface[]> {
    const asking = this.#asking.get(instanceID)
    if (asking !== undefined) return asking
    const last = this.#lastAnswer(instanceID)
    if (last !== undefined && last.answer === undefined) return []
    const question = this.#takeTurn(instanceID, connect, last?.answer ?? []).finally(() => {
      this.#asking.delete(instanceID)
    })
    this.#asking.set(instanceID, question)
    return question
  }

  #lastAnswer(instanceID: string) {
    const oldest = this.#now() - memory
    for (const [id, { at }] of this.#answers) if (at < oldest) this.#answers.delete(id)
    return this.#answers.get(instanceID)
  }

  async #takeTurn(
    instanceID: string,
    connect: () => Promise<Connection>,
    otherwise: readonly DomainInterface[],
  ): Promise<readonly DomainInterface[]> {
    const release = await this.#limiter.acquire(AbortSignal.timeout(deadline))
    if (release === undefined) return otherwise
    try {
      return await this.#ask(instanceID, await connect())
    } finally {
      release()
    }
  }

  async #ask(instanceID: string, connection: Connection): Promise<readonly DomainInterface[]> {
    const begun = this.#now()
    const signal = AbortSignal.timeout(deadline)
    try {
      const domain = await connection.lookupDomainByUUID(instanceID, { signal })
      await domain.setAgentResponseTimeout(libvirtDeadline, { signal })
      const answer = await domain.interfaceAddresses(InterfaceAddressesSource.AGENT, 0, { signal })
      this.#answers.set(instanceID, { at: this.#now(), answer })
      return answer
    } catch (error) {
      const late = error instanceof LibvirtTimeoutError || error instanceof LibvirtAbortError
      if (!late && !(error instanceof LibvirtError)) throw error
      if (late || this.#now() - begun >= slow) this.#answers.set(instanceID, { at: this.#now() })
      else this.#answers.delete(instanceID)
      return []
    }
  }
}
