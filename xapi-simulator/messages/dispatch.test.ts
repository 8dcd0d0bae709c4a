import { describe, expect, jest, test } from '@jest/globals'
import { type ClassName, classes, classOf, enumeration, type Message } from '../model/model.ts'
import type { Type } from '../model/types.ts'
import { failure, TestPool } from '../testing/client.ts'
import { handlerOf } from './handlers.ts'

// Some go over all messages, which takes long on a busy machine.
jest.setTimeout(60_000)

const all: readonly (readonly [string, Message])[] = [...classes.values()].flatMap((entry) =>
  [...entry.messages.values()].map((message) => [`${entry.name}.${message.name}`, message] as const),
)
const withSession = all.filter(([, message]) => message.session && !message.removed)

/** Some value of a type, so that a call gets past the reading of its parameters. */
function sample(type: Type): unknown {
  switch (type.kind) {
    case 'int':
    case 'float':
      return 1
    case 'bool':
      return true
    case 'datetime':
      return '20260101T00:00:00Z'
    case 'enum':
      return enumeration(type.name)[0]
    case 'ref':
      return 'OpaqueRef:NULL'
    case 'set':
      return []
    case 'map':
      return {}
    case 'record': {
      const fields = [...classOf(type.className as ClassName).fields.values()]
      return Object.fromEntries(
        fields.filter(({ qualifier }) => qualifier !== 'RO').map((field) => [field.name, sample(field.type)]),
      )
    }
    default:
      return 'x'
  }
}

/** A value that no type but one's own takes. */
function wrong(type: Type): unknown {
  return type.kind === 'map' || type.kind === 'record' ? 7 : { nonsense: {} }
}

const samples = (message: Message) => message.parameters.map(({ type }) => sample(type))

describe('every message of the data model', () => {
  test('is answered: carried out, refused by an error of XAPI, or NOT_IMPLEMENTED by its name', async () => {
    const counts = new Map<string, { done: number; missing: number; removed: number }>()
    let pool = await TestPool.open()
    for (const [name, message] of all) {
      if (pool.control.database.find('session', pool.session) === undefined) pool = await TestPool.open()
      const count = counts.get(message.className) ?? { done: 0, missing: 0, removed: 0 }
      counts.set(message.className, count)
      const parameters = [...(message.session ? [pool.session] : []), ...samples(message)]
      // A session that waits for events would wait for good.
      if (name === 'event.from') parameters[3] = 0
      const error = await pool.send(name, parameters).then(
        () => undefined,
        (error: unknown) => error as Error,
      )
      const description = error === undefined ? [] : await failure(Promise.reject(error))
      if (message.removed) {
        count.removed++
        expect({ name, description }).toEqual({ name, description: ['MESSAGE_REMOVED'] })
      } else if (handlerOf(message) === undefined) {
        count.missing++
        expect({ name, description }).toEqual({ name, description: ['NOT_IMPLEMENTED', name] })
      } else {
        count.done++
        expect({ name, code: description[0] }).not.toEqual({ name, code: 'NOT_IMPLEMENTED' })
        expect({ name, code: description[0] }).not.toEqual({ name, code: 'MESSAGE_METHOD_UNKNOWN' })
        expect({ name, code: description[0] }).not.toEqual({ name, code: 'INTERNAL_ERROR' })
      }
    }
    const rows = [...counts].map(([name, { done, missing, removed }]) => [name, done, missing, removed].join('\t'))
    process.stdout.write(`class\tanswered\tnot implemented\tremoved\n${rows.join('\n')}\n`)
    expect([...counts.values()].reduce((sum, { done }) => sum + done, 0)).toBeGreaterThan(1300)
  })

  test('has another name, with an underscore', async () => {
    const pool = await TestPool.open()
    expect(await pool.call('VBD_get_all')).toEqual([])
    expect(await failure(pool.call('Async.VM_start', 'x', true, true))).toEqual([
      'MESSAGE_METHOD_UNKNOWN',
      'Async.VM_start',
    ])
  })

  test('counts its parameters', async () => {
    const pool = await TestPool.open()
    for (const [name, message] of withSession) {
      const required = message.parameters.filter((parameter) => parameter.default === undefined)
      const few = required.slice(1).map(({ type }) => sample(type))
      if (required.length > 0) {
        expect(await failure(pool.call(name, ...few))).toEqual([
          'MESSAGE_PARAMETER_COUNT_MISMATCH',
          name,
          String(required.length),
          String(required.length - 1),
        ])
      }
      expect((await failure(pool.send(name, [])))[0]).toBe('MESSAGE_PARAMETER_COUNT_MISMATCH')
    }
  })

  test('checks the type of each parameter, by its name', async () => {
    const pool = await TestPool.open()
    for (const [name, message] of withSession) {
      for (const [index, { type, name: parameter }] of message.parameters.entries()) {
        const parameters = samples(message).with(index, wrong(type))
        expect({ name, error: await failure(pool.call(name, ...parameters)) }).toEqual({
          name,
          error: ['FIELD_TYPE_ERROR', parameter],
        })
      }
    }
  })

  test('wants a session', async () => {
    const pool = await TestPool.open()
    for (const [name, message] of withSession) {
      expect(await failure(pool.send(name, ['OpaqueRef:none', ...samples(message)]))).toEqual([
        'SESSION_INVALID',
        'OpaqueRef:none',
      ])
    }
  })

  test('names the object that is not there', async () => {
    const pool = await TestPool.open()
    for (const [name, message] of withSession) {
      if (message.accessor === undefined) continue
      const parameters = samples(message).with(0, 'OpaqueRef:gone')
      expect(await failure(pool.call(name, ...parameters))).toEqual([
        'HANDLE_INVALID',
        message.className,
        'OpaqueRef:gone',
      ])
    }
  })
})

describe('fields', () => {
  test('that are read-only have no setter', async () => {
    const pool = await TestPool.open()
    for (const { name, fields, messages } of classes.values()) {
      for (const field of fields.values()) {
        if (field.qualifier === 'RW' || messages.has(`set_${field.name}`)) continue
        const method = `${name}.set_${field.name}`
        expect(await failure(pool.call(method, 'x', 'y'))).toEqual(['MESSAGE_METHOD_UNKNOWN', method])
      }
    }
  })

  test('that are maps take a key once and let go of one that is not there', async () => {
    const pool = await TestPool.open()
    const vm = await pool.makeVm({ other_config: { kept: '1' } })
    await pool.call('VM.add_to_other_config', vm, 'key', 'value')
    expect(await failure(pool.call('VM.add_to_other_config', vm, 'key', 'other'))).toEqual([
      'MAP_DUPLICATE_KEY',
      'VM',
      'other_config',
      vm,
      'key',
    ])
    await pool.call('VM.remove_from_other_config', vm, 'absent')
    expect(await pool.call('VM.get_other_config', vm)).toEqual({ kept: '1', key: 'value' })
    await pool.call('VM.add_to_other_config', vm, '__proto__', 'text')
    await pool.call('VM.remove_from_other_config', vm, 'key')
    const left = await pool.call<Record<string, string>>('VM.get_other_config', vm)
    expect(Object.entries(left)).toEqual([
      ['kept', '1'],
      ['__proto__', 'text'],
    ])
  })

  test('that are sets hold a member once', async () => {
    const pool = await TestPool.open()
    const vm = await pool.makeVm()
    await pool.call('VM.add_tags', vm, 'a')
    await pool.call('VM.add_tags', vm, 'a')
    await pool.call('VM.add_tags', vm, 'b')
    await pool.call('VM.remove_tags', vm, 'a')
    expect(await pool.call('VM.get_tags', vm)).toEqual(['b'])
  })
})

describe('records', () => {
  test('are found by uuid, by label and by an expression', async () => {
    const pool = await TestPool.open()
    const vm = await pool.makeVm({ name_label: 'wanted' })
    await pool.makeVm({ name_label: 'other' })
    const { uuid } = await pool.call<{ uuid: string }>('VM.get_record', vm)
    expect(await pool.call('VM.get_by_uuid', uuid)).toBe(vm)
    expect(await failure(pool.call('VM.get_by_uuid', 'none'))).toEqual(['UUID_INVALID', 'VM', 'none'])
    expect(await pool.call('VM.get_by_name_label', 'wanted')).toEqual([vm])
    const where = async (expression: string) => Object.keys(await pool.call('VM.get_all_records_where', expression))
    expect(await where('field "name_label" = "wanted"')).toEqual([vm])
    expect(await where(`(field 'name_label' = 'wanted' and not field "power_state" = "Running") or false`)).toEqual([
      vm,
    ])
    expect(await where('true and field "name_label" = "nobody"')).toEqual([])
    expect(await failure(where('field name_label'))).toEqual(['INVALID_VALUE', 'expr', 'field name_label'])
  })

  test('are made with what the client says, and without what is the server’s', async () => {
    const pool = await TestPool.open()
    const vm = await pool.makeVm({
      uuid: 'chosen',
      domid: 7,
      power_state: 'Running',
      other_config: { 'owner/id': '1' },
    })
    expect(await pool.call('VM.get_record', vm)).toMatchObject({
      domid: -1,
      power_state: 'Halted',
      other_config: { 'owner/id': '1' },
    })
    expect(await pool.call('VM.get_uuid', vm)).not.toBe('chosen')
  })

  test('are not made without a field that has no default, nor with one of another type', async () => {
    const pool = await TestPool.open()
    expect(await failure(pool.call('VDI.create', { SR: pool.sr }))).toEqual([
      'INTERNAL_ERROR',
      'Server_helpers.Dispatcher_FieldNotFound("virtual_size")',
    ])
    expect(await failure(pool.makeVm({ VCPUs_max: 'many' }))).toEqual(['FIELD_TYPE_ERROR', 'VCPUs_max'])
    expect(await pool.call('VM.get_VCPUs_max', await pool.makeVm({ VCPUs_max: '4' }))).toBe(4)
  })
})
