import { Domain } from './domain.ts'
import {
  deregistrations,
  type EventKind,
  type EventListener,
  type EventMap,
  eventKinds,
  type Subscription,
} from './events.ts'
import { Network } from './network.ts'
import { NodeDevice } from './node-device.ts'
import type { EventMessageName, EventPayload } from './protocol/event-messages.ts'
import type { CallOptions } from './rpc/caller.ts'
import type { RpcClient } from './rpc/client.ts'
import { Secret } from './secret.ts'
import { StoragePool } from './storage.ts'

type Decoders = {
  readonly [K in EventKind]: (
    client: RpcClient,
    payload: EventPayload<(typeof eventKinds)[K]['message']>,
  ) => EventMap[K]
}

const decoders: Decoders = {
  domainLifecycle: (client, { msg: { dom, event, detail } }) => ({ domain: new Domain(client, dom), event, detail }),
  domainReboot: (client, { msg: { dom } }) => ({ domain: new Domain(client, dom) }),
  domainRTCChange: (client, { msg: { dom, offset } }) => ({ domain: new Domain(client, dom), offset }),
  domainWatchdog: (client, { msg: { dom, action } }) => ({ domain: new Domain(client, dom), action }),
  domainIOError: (client, { msg: { dom, srcPath, devAlias, action, reason } }) => ({
    domain: new Domain(client, dom),
    path: srcPath,
    alias: devAlias,
    action,
    reason,
  }),
  domainBalloonChange: (client, { msg: { dom, actual } }) => ({ domain: new Domain(client, dom), actual }),
  domainBlockJob: (client, { dom, dst, type, status }) => ({
    domain: new Domain(client, dom),
    disk: dst,
    type,
    status,
  }),
  domainDeviceAdded: (client, { dom, devAlias }) => ({ domain: new Domain(client, dom), alias: devAlias }),
  domainDeviceRemoved: (client, { msg: { dom, devAlias } }) => ({ domain: new Domain(client, dom), alias: devAlias }),
  domainDeviceRemovalFailed: (client, { dom, devAlias }) => ({ domain: new Domain(client, dom), alias: devAlias }),
  domainJobCompleted: (client, { dom, params }) => ({ domain: new Domain(client, dom), parameters: params }),
  domainMetadataChange: (client, { dom, type, nsuri }) => ({ domain: new Domain(client, dom), type, uri: nsuri }),
  domainAgentLifecycle: (client, { dom, state, reason }) => ({ domain: new Domain(client, dom), state, reason }),
  networkLifecycle: (client, { net, event, detail }) => ({ network: new Network(client, net), event, detail }),
  storagePoolLifecycle: (client, { pool, event, detail }) => ({ pool: new StoragePool(client, pool), event, detail }),
  storagePoolRefresh: (client, { pool }) => ({ pool: new StoragePool(client, pool) }),
  nodeDeviceLifecycle: (client, { dev, event, detail }) => ({ device: new NodeDevice(client, dev), event, detail }),
  nodeDeviceUpdate: (client, { dev }) => ({ device: new NodeDevice(client, dev) }),
  secretLifecycle: (client, { secret, event, detail }) => ({ secret: new Secret(client, secret), event, detail }),
  secretValueChanged: (client, { secret }) => ({ secret: new Secret(client, secret) }),
}

type Deliver = (payload: unknown) => void

/** What the server knows of a kind of event; libvirtd refuses a second registration of the same kind. */
interface Registration {
  readonly listeners: Set<Deliver>
  state: 'Opening' | 'Open' | 'Closing'
  /** By which the server calls it; -1 until it has told. */
  callbackID: number
  /** Settles when `Opening` or `Closing` is over; never rejects. */
  settled: Promise<void>
}

/** Takes a connection's events to their listeners, by the number that the server gave each registration. */
export class EventHub {
  readonly #client: RpcClient
  readonly #registrations = new Map<EventKind, Registration>()
  /** Numbers are counted apart for domains, networks and pools, so the message's name goes with them. */
  readonly #listeners = new Map<string, ReadonlySet<Deliver>>()

  constructor(client: RpcClient) {
    this.#client = client
    client.onEvent((name, payload) => {
      for (const deliver of [...(this.#listeners.get(key(name, payload.callbackID)) ?? [])]) deliver(payload)
    })
  }

  async subscribe<K extends EventKind>(
    kind: K,
    listener: EventListener<K>,
    options: CallOptions = {},
  ): Promise<Subscription> {
    const decode = decoders[kind] as (client: RpcClient, payload: unknown) => EventMap[K]
    const deliver: Deliver = (payload) => tell(listener, decode(this.#client, payload))
    const registration = await this.#join(kind, deliver, options)
    this.#count()
    let closing: Promise<void> | undefined
    return {
      close: () => {
        closing ??= this.#leave(kind, registration, deliver)
        return closing
      },
    }
  }

  /** The registration that all listeners of a kind share; the first listener makes it. */
  async #join(kind: EventKind, deliver: Deliver, options: CallOptions): Promise<Registration> {
    for (;;) {
      const known = this.#registrations.get(kind)
      if (known === undefined) return this.#open(kind, deliver, options)
      if (known.state === 'Open') {
        known.listeners.add(deliver)
        return known
      }
      await known.settled
    }
  }

  async #open(kind: EventKind, deliver: Deliver, options: CallOptions): Promise<Registration> {
    // The listener has to be known before the next message is looked at: it may be an event.
    const listeners = new Set([deliver])
    const { promise: settled, resolve } = Promise.withResolvers<void>()
    const registration: Registration = { listeners, state: 'Opening', callbackID: -1, settled }
    this.#registrations.set(kind, registration)
    try {
      await this.#register(kind, options, (id) => {
        this.#listeners.set(key(eventKinds[kind].message, id), listeners)
        registration.callbackID = id
      })
      registration.state = 'Open'
      return registration
    } catch (error) {
      this.#registrations.delete(kind)
      throw error
    } finally {
      resolve()
    }
  }

  async #leave(kind: EventKind, registration: Registration, deliver: Deliver): Promise<void> {
    registration.listeners.delete(deliver)
    this.#count()
    if (registration.listeners.size > 0) return
    registration.state = 'Closing'
    registration.settled = this.#close(kind, registration)
    await registration.settled
  }

  async #close(kind: EventKind, registration: Registration): Promise<void> {
    const { message, object } = eventKinds[kind]
    const callbackID = registration.callbackID
    this.#listeners.delete(key(message, callbackID))
    // Fails when the connection has gone, and the registration with it.
    if (this.#client.isAlive) await this.#client.call(deregistrations[object], { callbackID }).catch(() => {})
    this.#registrations.delete(kind)
  }

  #count(): void {
    let count = 0
    for (const listeners of this.#listeners.values()) count += listeners.size
    this.#client.eventsWanted = count
  }

  #register(kind: EventKind, options: CallOptions, registered: (callbackID: number) => void): Promise<number> {
    const { object, id } = eventKinds[kind]
    const onReply = ({ callbackID }: { readonly callbackID: number }) => {
      registered(callbackID)
      return callbackID
    }
    const client = this.#client
    switch (object) {
      case 'domain': {
        const args = { eventID: id, dom: undefined }
        return client.callWith('connect_domain_event_callback_register_any', args, options, onReply)
      }
      case 'network': {
        const args = { eventID: id, net: undefined }
        return client.callWith('connect_network_event_register_any', args, options, onReply)
      }
      case 'storage_pool': {
        const args = { eventID: id, pool: undefined }
        return client.callWith('connect_storage_pool_event_register_any', args, options, onReply)
      }
      case 'node_device': {
        const args = { eventID: id, dev: undefined }
        return client.callWith('connect_node_device_event_register_any', args, options, onReply)
      }
      case 'secret': {
        const args = { eventID: id, secret: undefined }
        return client.callWith('connect_secret_event_register_any', args, options, onReply)
      }
    }
  }
}

const key = (message: EventMessageName, callbackID: number): string => `${message} ${callbackID}`

/** A listener that throws is a bug of its own, and must not take the connection with it. */
const tell = <K extends EventKind>(listener: EventListener<K>, event: EventMap[K]): void => {
  try {
    listener(event)
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}
