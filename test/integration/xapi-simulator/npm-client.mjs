// @ts-nocheck The client has no types of its own.
// Drives a pool through the npm package xen-api; prints what it saw as one line of JSON.
// Arguments: the URLs of the master and of another member; user; password; auto (JSON-RPC) or xml-rpc.
import { createClient } from 'xen-api'

const [master, member, user, password, transport] = process.argv.slice(2)
const client = createClient({ url: member, auth: { user, password }, transport, debounce: 10 })
const seen = {}
const failure = (promise) =>
  promise.then(
    () => undefined,
    ({ code, params }) => [code, ...params],
  )

await client.connect()
await client.objectsFetched
const $pool = client.pool
seen.pool = $pool.name_label
const [template] = Object.values(client.objects.all).filter(({ is_default_template }) => is_default_template)

const vm = await client.callAsync('VM.clone', template.$ref, 'from npm')
await client.callAsync('VM.provision', vm)
await client.call('VM.set_memory_limits', vm, 0, 2 ** 29, 2 ** 29, 2 ** 29)
const vdi = await client.call('VDI.create', {
  SR: $pool.default_SR,
  virtual_size: 8 * 1024 ** 2,
  type: 'user',
  sharable: false,
  read_only: false,
  other_config: { key: 'value' },
})
await client.setFieldEntry('VDI', vdi, 'other_config', 'key', 'changed')
seen.field = await client.getField('VDI', vdi, 'other_config')

const content = Buffer.alloc(3_000_000, 'content ')
await client.putResource(content, '/import_raw_vdi', { query: { vdi, format: 'raw' }, task: true })
const response = await client.getResource('/export_raw_vdi', { query: { vdi, format: 'raw' } })
const back = Buffer.from(await response.body.arrayBuffer())
seen.bytes = [back.length, back.subarray(0, content.length).equals(content)]

await client.call('VBD.create', {
  VM: vm,
  VDI: vdi,
  userdevice: '0',
  bootable: true,
  mode: 'RW',
  type: 'Disk',
  empty: false,
  other_config: {},
  qos_algorithm_type: '',
  qos_algorithm_params: {},
})
seen.start = await client.callAsync('VM.start', vm, false, false)
await client.barrier()
seen.cached = client.getObjectByRef(vm).power_state
seen.devices = client.getObjectByRef(vm).$VBDs.map(({ $VDI }) => $VDI.$ref === vdi)
seen.again = (await failure(client.callAsync('VM.start', vm, false, false)))?.[0]
seen.unknown = await failure(client.call('VM.nonsense', vm))
// Somebody ends its session; it logs in anew by itself.
const logout = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'session.logout', params: [client.sessionId] })
await fetch(`${master}/jsonrpc`, { method: 'POST', body: logout })
seen.relogin = await client.call('VM.get_power_state', vm)
await client.callAsync('VM.hard_shutdown', vm)
await client.call('VM.destroy', vm)
await client.barrier()
seen.left = Object.values(client.objects.all).filter(({ name_label }) => name_label === 'from npm').length
await client.disconnect()
console.log(JSON.stringify(seen))
