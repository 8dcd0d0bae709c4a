import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { XapiError } from '../errors.ts'
import { asXapiError } from '../messages/dispatch.ts'
import { finishTask, makeTask } from '../messages/task.ts'
import { dropVbd, makeVbd } from '../messages/vbd.ts'
import { makeVdi } from '../messages/vdi.ts'
import { parseType } from '../model/types.ts'
import type { Fault } from '../state/faults.ts'
import { isThick, type Member, type Pool } from '../state/pool.ts'
import { encodeXml } from '../wire/xml-rpc.ts'
import { isAuthorised } from './credentials.ts'
import { meetFaults } from './faults.ts'

/** Bytes that are read and sent at once. */
const piece = 1024 ** 2

/** What a transfer is given. */
interface Transfer {
  readonly pool: Pool
  readonly member: Member
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly query: URLSearchParams
  readonly task: string
  readonly faults: readonly Fault[]
}

/** What carries transfers out, and answers the task's result; nothing if another member is to serve the client. */
const transfers: Readonly<Record<string, (transfer: Transfer) => Promise<string | undefined>>> = {
  'PUT /import_raw_vdi': importDisk,
  'GET /export_raw_vdi': exportDisk,
}

/** Transfers that xapi has and that are not here. */
const missing: readonly string[] = [
  'PUT /import',
  'GET /export',
  'PUT /import_metadata',
  'GET /export_metadata',
  'GET /rrd_updates',
  'GET /vm_rrd',
  'GET /host_rrd',
  'GET /sr_rrd',
  'GET /vncsnapshot',
  'GET /blob',
  'PUT /blob',
  'POST /cli',
]

/**
 * Answers a request that is no call; false if nothing is known of its path. How it went is told by its task, which the
 * client may have made; for an upload the answer comes before the body is read, as from xapi.
 */
export async function answerTransfer(
  pool: Pool,
  member: Member,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  const { pathname, searchParams: query } = new URL(request.url ?? '/', 'http://member')
  const name = `${request.method} ${pathname}`
  const transfer = transfers[name]
  if (transfer === undefined && !missing.includes(name)) return false
  // xapi serves one transfer a connection.
  response.shouldKeepAlive = false
  response.useChunkedEncodingByDefault = false
  const task = pool.database.find('task', query.get('task_id') ?? '') ? (query.get('task_id') ?? '') : ''
  const own = task === '' ? makeTask(pool, pathname.slice(1), member.host) : task
  let cancelled = false
  pool.cancellations.set(own, () => {
    cancelled = true
    request.destroy()
    response.destroy()
  })
  try {
    if (!isAuthorised(pool, request, query)) throw new XapiError('SESSION_AUTHENTICATION_FAILED')
    if (transfer === undefined) throw new XapiError('NOT_IMPLEMENTED', name)
    const faults = pool.faults.take(pathname)
    if ((await meetFaults(faults, 'before', response, pool.options.clock)) === 'lost') return true
    const failure = faults.find((fault) => fault.kind === 'fail')
    if (failure) throw failure.error
    const result = await transfer({ pool, member, request, response, query, task: own, faults })
    if (result !== undefined) finishTask(pool, own, { result })
    if ((await meetFaults(faults, 'after', response, pool.options.clock)) === 'lost') return true
    response.end()
  } catch (error) {
    const failure = cancelled ? new XapiError('TASK_CANCELLED', own) : asXapiError(error)
    finishTask(pool, own, { error: failure })
    if (response.headersSent) response.destroy()
    else refuse(response, failure)
  } finally {
    pool.cancellations.delete(own)
    // A task of the server's own is gone when it is over.
    if (task === '' && pool.database.find('task', own)) pool.database.remove('task', own)
  }
  return true
}

const statuses: Readonly<Record<string, number>> = {
  SESSION_AUTHENTICATION_FAILED: 401,
  NOT_IMPLEMENTED: 501,
  INTERNAL_ERROR: 404,
}

function refuse(response: ServerResponse, { code }: XapiError): void {
  const status = statuses[code] ?? 500
  response.writeHead(status, status === 401 ? { 'www-authenticate': 'Basic realm="XAPI"' } : {})
  response.end()
}

/** Sends the client to a host that has the SR, if this one has not. */
function redirect({ pool, member, request, response }: Transfer, sr: string): boolean {
  if (pool.isPlugged(sr, member.host)) return false
  const pbd = pool.database
    .get('SR', sr)
    .PBDs.flatMap((reference) => pool.database.find('PBD', reference) ?? [])
    .find(({ currently_attached }) => currently_attached)
  if (pbd === undefined) throw new XapiError('SR_NO_PBDS', sr)
  const { address } = pool.database.get('host', pbd.host)
  const scheme = 'encrypted' in request.socket ? 'https' : 'http'
  // Hosts have one port; a simulated one tells its own, since it is not the usual.
  response.writeHead(302, { location: `${scheme}://${address}:${request.socket.localPort}${request.url}` })
  return true
}

async function importDisk(transfer: Transfer): Promise<string | undefined> {
  const { pool, request, response, query } = transfer
  const given = reference(pool, 'VDI', query.get('vdi'))
  const sr = given === undefined ? reference(pool, 'SR', query.get('sr_id')) : pool.database.get('VDI', given).SR
  if (sr === undefined) throw new XapiError('VDI_MISSING')
  if (redirect(transfer, sr)) return undefined
  assertRaw(query)
  if (request.headers['transfer-encoding'] !== undefined) {
    throw new XapiError('INTERNAL_ERROR', `Cannot handle encoding: ${request.headers['transfer-encoding']}`)
  }
  const length = Number(request.headers['content-length'] ?? 0)
  const vdi =
    given ?? makeVdi(pool, { SR: sr, virtual_size: length, name_label: 'Imported VDI', type: 'user', sharable: false })
  await withDisk(transfer, vdi, 'RW', async () => {
    response.writeHead(200, { 'task-id': transfer.task, 'content-type': 'application/octet-stream' })
    response.flushHeaders()
    await receive(transfer, vdi, sr, length)
  })
  return encodeXml(parseType('VDI ref'), vdi)
}

async function receive({ pool, request, response, task, faults }: Transfer, vdi: string, sr: string, length: number) {
  const cut = faults.find((fault) => fault.kind === 'cut')
  const disk = pool.disk(vdi)
  const { physical_size, physical_utilisation } = pool.database.get('SR', sr)
  const most = isThick(pool.database.get('SR', sr))
    ? disk.size
    : disk.allocated + Math.max(0, physical_size - physical_utilisation)
  let position = 0
  try {
    for await (const chunk of request) {
      if (cut !== undefined && position + chunk.length >= cut.afterBytes) {
        disk.write(position, chunk.subarray(0, cut.afterBytes - position))
        response.socket?.resetAndDestroy()
        throw ioError()
      }
      if (position + chunk.length > disk.size) throw ioError()
      disk.write(position, chunk)
      if (disk.allocated > most) throw ioError()
      position += chunk.length
      tellProgress(pool, task, position / length)
    }
  } catch (error) {
    // What the client or the network broke off is an error of the device to who reads from it.
    throw error instanceof XapiError ? error : ioError()
  } finally {
    pool.account(sr)
  }
  if (position < length) throw ioError()
}

async function exportDisk(transfer: Transfer): Promise<string | undefined> {
  const { pool, response, query, task, faults } = transfer
  const vdi = reference(pool, 'VDI', query.get('vdi'))
  if (vdi === undefined) throw new XapiError('INTERNAL_ERROR', 'Missing vdi query parameter')
  if (redirect(transfer, pool.database.get('VDI', vdi).SR)) return undefined
  assertRaw(query)
  const cut = faults.find((fault) => fault.kind === 'cut')
  await withDisk(transfer, vdi, 'RO', async () => {
    response.writeHead(200, { 'task-id': task, 'content-type': 'application/octet-stream' })
    const disk = pool.disk(vdi)
    function* pieces() {
      for (let position = 0; position < disk.size; position += piece) {
        if (cut !== undefined && position >= cut.afterBytes) {
          response.socket?.resetAndDestroy()
          throw ioError()
        }
        tellProgress(pool, task, position / disk.size)
        yield disk.read(position, piece)
      }
    }
    await pipeline(pieces, response, { end: false })
  })
  return ''
}

/** Attaches the disk to the control domain for as long as its bytes are passed on. */
async function withDisk<T>({ pool, member }: Transfer, vdi: string, mode: 'RO' | 'RW', pass: () => Promise<T>) {
  const clash = pool.attachedBy(pool.database.get('VDI', vdi)).some((other) => other.mode === 'RW' || mode === 'RW')
  if (clash) throw new XapiError('VDI_IN_USE', vdi, 'attach')
  const vbd = makeVbd(pool, {
    VM: pool.database.get('host', member.host).control_domain,
    VDI: vdi,
    mode,
    type: 'Disk',
    userdevice: 'autodetect',
  })
  pool.database.update('VBD', vbd, { currently_attached: true })
  pool.refreshAround('VBD', vbd)
  try {
    return await pass()
  } finally {
    if (pool.database.find('VBD', vbd)) dropVbd(pool, vbd)
  }
}

/** The object that a parameter names by its reference or its uuid. */
function reference(pool: Pool, className: 'VDI' | 'SR', said: string | null): string | undefined {
  if (said === null) return undefined
  return pool.database.all(className).find(([known, { uuid }]) => known === said || uuid === said)?.[0]
}

function assertRaw(query: URLSearchParams): void {
  const format = query.get('format') ?? 'raw'
  const known = ['raw', 'vhd', 'tar', 'qcow2'].includes(format)
  if (!known) throw new XapiError('INTERNAL_ERROR', `Unknown format ${format}`)
  const other = ['chunked', 'base'].find((parameter) => query.has(parameter))
  if (format !== 'raw' || other !== undefined) throw new XapiError('NOT_IMPLEMENTED', other ?? `format=${format}`)
}

function ioError(): XapiError {
  return new XapiError('VDI_IO_ERROR', 'Device I/O errors')
}

/** Tells of every hundredth, so that a client is not flooded. */
function tellProgress(pool: Pool, task: string, share: number): void {
  const progress = Math.floor(Math.min(1, share) * 100) / 100
  const record = pool.database.find('task', task)
  if (record?.status === 'pending' && progress > record.progress) pool.database.update('task', task, { progress })
}
