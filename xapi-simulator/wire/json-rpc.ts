import type { XapiError } from '../errors.ts'
import { isObject, type Value } from '../model/types.ts'
import type { RemoteCall } from './xml-rpc.ts'

export interface JsonCall extends RemoteCall {
  readonly version: 1 | 2
  readonly id: unknown
}

/** @throws SyntaxError for what is not a call of JSON-RPC */
export function readJsonCall(body: string): JsonCall {
  const call: unknown = JSON.parse(body)
  if (!isObject(call) || typeof call['method'] !== 'string' || !Array.isArray(call['params'])) {
    throw new SyntaxError('Not a call of JSON-RPC.')
  }
  const version = call['jsonrpc'] === '2.0' ? 2 : 1
  return { version, id: call['id'] ?? null, method: call['method'], parameters: call['params'] }
}

export function writeJsonReply({ version, id }: JsonCall, result: Value): string {
  return JSON.stringify(version === 2 ? { jsonrpc: '2.0', result, id } : { result, error: null, id })
}

export function writeJsonFailure({ version, id }: JsonCall, error: XapiError): string {
  return JSON.stringify(
    version === 2
      ? { jsonrpc: '2.0', error: { code: 1, message: error.code, data: error.parameters }, id }
      : { result: null, error: error.description, id },
  )
}
