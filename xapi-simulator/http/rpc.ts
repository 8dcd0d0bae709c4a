import type { IncomingMessage, ServerResponse } from 'node:http'
import type { XapiError } from '../errors.ts'
import { asXapiError, dispatch } from '../messages/dispatch.ts'
import type { Member, Pool } from '../state/pool.ts'
import { readJsonCall, writeJsonFailure, writeJsonReply } from '../wire/json-rpc.ts'
import { type RemoteCall, readXmlCall, writeXmlFailure, writeXmlPlain, writeXmlReply } from '../wire/xml-rpc.ts'
import { meetFaults } from './faults.ts'

/** The longest body of a call. */
const longestBody = 50 * 1024 ** 2

/** Answers calls of XML-RPC. */
export async function answerXml(pool: Pool, member: Member, request: IncomingMessage, response: ServerResponse) {
  const call = await readCall(request, response, readXmlCall)
  if (call === undefined) return
  await answer(pool, member, call, response, 'text/xml', {
    success: ({ type, value }) =>
      call.method === 'system.listMethods' ? writeXmlPlain(type, value) : writeXmlReply(type, value),
    failure: writeXmlFailure,
  })
}

/** Answers calls of JSON-RPC, 1.0 and 2.0. */
export async function answerJson(pool: Pool, member: Member, request: IncomingMessage, response: ServerResponse) {
  const call = await readCall(request, response, readJsonCall)
  if (call === undefined) return
  await answer(pool, member, call, response, 'application/json', {
    success: ({ value }) => writeJsonReply(call, value),
    failure: (error) => writeJsonFailure(call, error),
  })
}

type Reply = Awaited<ReturnType<typeof dispatch>>

async function answer(
  pool: Pool,
  member: Member,
  { method, parameters }: RemoteCall,
  response: ServerResponse,
  type: string,
  write: { readonly success: (reply: Reply) => string; readonly failure: (error: XapiError) => string },
): Promise<void> {
  const faults = pool.faults.take(method)
  if ((await meetFaults(faults, 'before', response, pool.options.clock)) === 'lost') return
  let body: string
  try {
    const failure = faults.find((fault) => fault.kind === 'fail')
    if (failure) throw failure.error
    body = write.success(await dispatch(pool, member, method, parameters))
  } catch (error) {
    body = write.failure(asXapiError(error))
  }
  if ((await meetFaults(faults, 'after', response, pool.options.clock)) === 'lost') return
  response.writeHead(200, { 'content-type': type, 'content-length': Buffer.byteLength(body) })
  response.end(body)
}

/** Reads a call; what cannot be read is answered with 400. */
async function readCall<T>(
  request: IncomingMessage,
  response: ServerResponse,
  read: (body: string) => T,
): Promise<T | undefined> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request) {
    length += chunk.length
    if (length > longestBody) break
    chunks.push(chunk)
  }
  try {
    if (length > longestBody) throw new SyntaxError('The call is too long.')
    return read(Buffer.concat(chunks).toString('utf8'))
  } catch {
    response.writeHead(400, { connection: 'close' })
    response.end()
    return undefined
  }
}
