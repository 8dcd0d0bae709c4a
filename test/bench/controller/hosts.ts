/** Hypervisors in memory that live on while processes of the controller come and go. */
import type { ChildProcess } from 'node:child_process'
import { type FakeHypervisor, fakeDriver } from '../../../controller/drivers/fake/index.ts'
import { toBerthError } from '../../../controller/errors/index.ts'
import type { HypervisorEvent, ImageContent, Session } from '../../../controller/hypervisor/port.ts'
import type { Call } from '../../../controller/hypervisor/wrap.ts'
import type { Answer, Connected, FromController, ToController } from './messages.ts'

/** An image as it comes from another process: at once. */
export type SentImage = Omit<ImageContent, 'open' | 'beforeMarker'> & { readonly bytes: Uint8Array }

export class Hosts {
  /** Told of each call on its way in. */
  onCall: (method: Call, args: readonly unknown[]) => void = () => {}
  readonly #hosts: ReadonlyMap<string, FakeHypervisor>
  #calls = 0

  /** By URI. */
  constructor(hosts: ReadonlyMap<string, FakeHypervisor>) {
    this.#hosts = hosts
  }

  /** Calls that have come in. */
  get calls(): number {
    return this.#calls
  }

  /** Serves one process, until it ends. */
  serve(process: ChildProcess): void {
    const driver = fakeDriver(this.#hosts)
    const sessions: Session[] = []
    const ended = new AbortController()
    process.once('exit', () => {
      ended.abort()
      for (const session of sessions) void session.close()
    })
    const send = (message: ToController) => {
      if (process.connected) process.send(message)
    }
    const connect = async (uri: string): Promise<Connected> => {
      const session = await driver.connect({ uri, callTimeout: 30_000 })
      const index = sessions.push(session) - 1
      void forward(session, ended.signal, (event) => send({ type: 'event', session: index, event }))
      return { session: index, information: session.information }
    }
    process.on('message', async (message: FromController) => {
      if (message.type === 'done') return
      const { id } = message
      const work = message.type === 'connect' ? connect(message.uri) : this.#call(message, sessions[message.session])
      send({ type: 'answer', id, answer: await answerOf(work) })
    })
  }

  async #call({ method, args }: FromController & { type: 'call' }, session?: Session): Promise<unknown> {
    this.#calls++
    this.onCall(method, args)
    if (session === undefined) throw new Error('there is no such session')
    const given = method === 'placeImage' ? withContent(args) : args
    return Reflect.apply(session[method], session, given)
  }
}

async function answerOf(work: Promise<unknown>): Promise<Answer> {
  try {
    return { value: await work }
  } catch (error) {
    const { code, message } = toBerthError(error)
    return { error: { code, message } }
  }
}

async function forward(session: Session, signal: AbortSignal, tell: (event: HypervisorEvent) => void): Promise<void> {
  for await (const event of session.events(signal)) tell(event)
}

function withContent([pool, sent]: readonly unknown[]): readonly unknown[] {
  const { bytes, ...content } = sent as SentImage
  const open = async function* () {
    yield bytes
  }
  return [pool, { ...content, open }, () => {}]
}
