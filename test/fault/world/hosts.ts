/** Hypervisors in memory, and the controller's way to them: every session of a process goes through its {@link Effects}. */
import { BerthError } from '../../../controller/errors/index.ts'
import type { Driver, HypervisorEvent, ImageContent, Session } from '../../../controller/hypervisor/port.ts'
import { FakeHost, type FakeSession } from '../../../controller/hypervisor/testing/fake-session.ts'
import { intercepted, type Mutation, mutations } from '../../../controller/hypervisor/wrap.ts'
import type { Clock } from '../../../controller/runtime/index.ts'
import type { Effects } from './effects.ts'
import { type Life, never } from './life.ts'

/** Between what happens on a host and the event that tells of it, ms. */
const eventLag = 15
/** A call is on its way for so long, and its answer again, ms. */
const wayTime = 2
const bootTime = 4_000
const address = { address: '192.0.2.10', prefix: 24, source: 'Lease' } as const

export interface HostRun {
  readonly name: string
  readonly host: FakeHost
}

export class Hosts {
  readonly #clock: Clock
  readonly #effects: Effects
  readonly #hosts = new Map<string, FakeHost>()
  readonly #sessions = new Map<FakeHost, Map<FakeSession, Life>>()

  constructor(clock: Clock, effects: Effects) {
    this.#clock = clock
    this.#effects = effects
  }

  add(name: string): FakeHost {
    const host = new FakeHost()
    const index = this.#hosts.size + 1
    host.information = { ...host.information, id: `00000000-0000-4000-8000-00000000000${index}`, hostName: name }
    this.#hosts.set(name, host)
    this.#sessions.set(host, new Map())
    return host
  }

  get(name: string): FakeHost {
    const host = this.#hosts.get(name)
    if (!host) throw new Error(`there is no host ${name}`)
    return host
  }

  all(): HostRun[] {
    return [...this.#hosts].map(([name, host]) => ({ name, host }))
  }

  /** Something happened to a machine on its host. */
  tell(name: string, instanceID: string, detail: string): void {
    const event: HypervisorEvent = { type: 'Machine', id: instanceID, instanceID, detail }
    const told = [...(this.#sessions.get(this.get(name)) ?? [])]
    this.#clock.after(eventLag, () => {
      for (const [session, life] of told) life.deliver(() => session.tell(event))
    })
  }

  /** How one process reaches them. URIs are `fake://NAME`. */
  driver(life: Life): Pick<Driver, 'connect'> {
    return {
      connect: async (target) => {
        if (!life.sends) return never()
        const name = 'uri' in target ? new URL(target.uri).hostname : ''
        const host = this.#hosts.get(name)
        if (!host) throw new BerthError('HypervisorUnreachable', `${name} does not answer`)
        const session = host.connect()
        const sessions = this.#sessions.get(host)
        sessions?.set(session, life)
        life.onEnd(() => sessions?.delete(session))
        void session.closed.then(() => sessions?.delete(session))
        return life.answered(Promise.resolve(this.#wrapped(name, session, life)))
      },
    }
  }

  #wrapped(name: string, session: FakeSession & Session, life: Life): Session {
    return intercepted(session, async (method, args, call) => {
      if (!isMutation(method)) {
        if (!life.sends) return never()
        return life.answered(this.#later().then(() => call(args)))
      }
      const [id, target] = targetOf(method, args)
      const given = method === 'placeImage' ? this.#inParts(`${name}/${target}`, args, life) : args
      return this.#effects.perform(life, { port: 'host', verb: method, target: `${name}/${target}` }, async () => {
        await this.#later()
        const answer = await call(given)
        if (id !== undefined) this.tell(name, id, method)
        if (method === 'start') this.#boot(name, String(id))
        return answer
      })
    })
  }

  /** The process may die at each part of an upload, and between the last and the completion marker. */
  #inParts(target: string, args: readonly unknown[], life: Life): readonly unknown[] {
    const [pool, content, ...rest] = args as [string, ImageContent, ...unknown[]]
    const moment = (verb: string) =>
      this.#effects.perform(life, { port: 'host', verb, target, moment: true }, async () => undefined)
    async function* open() {
      let part = 0
      for await (const bytes of content.open()) {
        await moment(`send part ${++part}`)
        yield bytes
      }
      await moment('write marker')
    }
    return [pool, { ...content, open }, ...rest]
  }

  /** The guest gets its addresses, which no host tells. */
  #boot(name: string, id: string): void {
    this.#clock.after(bootTime, () => {
      const { machines, addresses } = this.get(name)
      const given = machines.get(id)?.spec.interfaces.map(({ macAddress }) => ({ macAddress, addresses: [address] }))
      if (given) addresses.set(id, given)
    })
  }

  #later(): Promise<void> {
    return new Promise((resolve) => this.#clock.after(wayTime, resolve))
  }
}

const isMutation = (method: string): method is Mutation => (mutations as readonly string[]).includes(method)

/** The machine that a call is about, if it is about one; and its target, the same in every run. */
function targetOf(method: Mutation, args: readonly unknown[]): readonly [id: string | undefined, target: string] {
  const [first, second, third] = args
  switch (method) {
    case 'createDisk': {
      const { instanceID, pool, volume } = first as { instanceID: string; pool: string; volume: string }
      return [instanceID, `${pool}/${volume}`]
    }
    case 'define': {
      const { tag } = first as { tag: { instanceID: string; slot: string } }
      return [tag.instanceID, `${tag.instanceID} under ${tag.slot}`]
    }
    case 'attachDisk':
      return [String(first), `${first}/${(second as { name: string }).name}`]
    case 'detachDisk':
      return [String(first), `${first}/${second}`]
    case 'growDisk':
    case 'deleteVolume':
      return [String(first), `${second}/${third}`]
    case 'definePool':
      return [undefined, (first as { name: string }).name]
    case 'placeImage':
      return [undefined, `${first}/${(second as ImageContent).digest.slice(0, 12)}`]
    case 'removeImage':
      return [undefined, `${first}/${String(second).slice(0, 12)}`]
    default:
      return [String(first), String(first)]
  }
}
