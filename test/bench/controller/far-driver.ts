/** The controller's way to hosts that live in the process that started this one. */
import { BerthError } from '../../../controller/errors/index.ts'
import type { Driver, HypervisorEvent, ImageContent, Session } from '../../../controller/hypervisor/port.ts'
import { type Call, mutations, reads } from '../../../controller/hypervisor/wrap.ts'
import type { Answer, Connected, FromController, ToController } from './messages.ts'

type Request =
  | { readonly type: 'connect'; readonly uri: string }
  | { readonly type: 'call'; readonly session: number; readonly method: Call; readonly args: readonly unknown[] }

export class FarHosts {
  readonly #send: (message: FromController) => void
  readonly #waiting = new Map<number, (answer: Answer) => void>()
  readonly #events = new Map<number, ReadableStreamDefaultController<HypervisorEvent>>()
  #requests = 0

  constructor(send: (message: FromController) => void) {
    this.#send = send
  }

  readonly driver: Pick<Driver, 'connect'> = {
    connect: async (target) => {
      const uri = 'uri' in target ? target.uri : ''
      const { session, information } = (await this.#request({ type: 'connect', uri })) as Connected
      return this.#session(session, information)
    },
  }

  receive(message: ToController): void {
    if (message.type === 'answer') {
      this.#waiting.get(message.id)?.(message.answer)
      this.#waiting.delete(message.id)
    }
    if (message.type === 'event') this.#events.get(message.session)?.enqueue(message.event)
  }

  #session(session: number, information: Session['information']): Session {
    const call =
      (method: Call) =>
      async (...args: readonly unknown[]) =>
        this.#request({ type: 'call', session, method, args: await sendable(method, args) })
    const methods = Object.fromEntries([...reads, ...mutations].map((method) => [method, call(method)]))
    const events = new ReadableStream<HypervisorEvent>({
      start: (controller) => void this.#events.set(session, controller),
    })
    return {
      ...(methods as unknown as Pick<Session, Call>),
      information,
      events: (signal) => events.pipeThrough(new TransformStream(), { signal }),
      closed: new Promise(() => {}),
      close: async () => {},
    }
  }

  async #request(request: Request): Promise<unknown> {
    const id = this.#requests++
    const answered = new Promise<Answer>((resolve) => this.#waiting.set(id, resolve))
    this.#send({ ...request, id })
    const answer = await answered
    if ('error' in answer) throw new BerthError(answer.error.code, answer.error.message)
    return answer.value
  }
}

/** Without signals and functions; an image with its content. */
async function sendable(method: Call, args: readonly unknown[]): Promise<readonly unknown[]> {
  if (method === 'placeImage') {
    const [pool, { open, beforeMarker: _, ...content }] = args as [string, ImageContent]
    const parts: Uint8Array[] = []
    for await (const part of open()) parts.push(part)
    return [pool, { ...content, bytes: Buffer.concat(parts) }]
  }
  return args.filter((arg) => !(typeof arg === 'object' && arg !== null && 'signal' in arg))
}
