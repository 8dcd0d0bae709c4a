import { beforeAll, describe, expect, it } from '@jest/globals'
import { ErrorCode } from '../../../node-libvirt/error-codes.ts'
import { eventMessages } from '../../../node-libvirt/protocol/event-messages.ts'
import {
  headerSize,
  KeepaliveProcedure,
  lengthSize,
  MessageStatus,
  MessageType,
  maxMessage,
  maxStreamPayload,
  maxString,
  Program,
  programVersion,
} from '../../../node-libvirt/protocol/message.ts'
import { AuthType, type ProcedureName, procedures, programOf } from '../../../node-libvirt/protocol/procedures.ts'
import { limits, remoteError } from '../../../node-libvirt/protocol/types.ts'
import { libvirtSource } from './support/source.ts'
import { type Description, parseDescription } from './support/xdr-language.ts'

// Our table is our own work; this keeps it honest: every number, field and limit is compared with libvirt's source.

let remote: Description
let qemu: Description
let net: Description
let keepalive: Description
let errors: string

beforeAll(async () => {
  const source = await libvirtSource()
  remote = parseDescription(source.remote)
  qemu = parseDescription(source.qemu + source.remote)
  net = parseDescription(source.net)
  keepalive = parseDescription(source.keepalive)
  errors = source.errors
}, 120_000)

const nothing = { kind: 'struct', fields: [] }

describe('remote_protocol.x', () => {
  const all = Object.keys(procedures) as ProcedureName[]

  it.each(all.filter((name) => programOf(name) === Program.REMOTE))(
    '%s has the number, arguments and result of the original',
    (name) => {
      const { number, args, ret } = procedures[name]
      expect(remote.constants.get(`REMOTE_PROC_${name.toUpperCase()}`)).toBe(number)
      expect(args.shape).toEqual(remote.shape(`remote_${name}_args`) ?? nothing)
      expect(ret.shape).toEqual(remote.shape(`remote_${name}_ret`) ?? nothing)
    },
  )

  it.each(all.filter((name) => programOf(name) === Program.QEMU))('%s is that of qemu_protocol.x', (name) => {
    const { number, args, ret } = procedures[name]
    expect(qemu.constants.get(`QEMU_PROC_${name.toUpperCase().replace('QEMU_', '')}`)).toBe(number)
    expect(args.shape).toEqual(qemu.shape(`${name}_args`) ?? nothing)
    expect(ret.shape).toEqual(qemu.shape(`${name}_ret`) ?? nothing)
    expect(qemu.constants.get('QEMU_PROGRAM')).toBe(Program.QEMU)
  })

  it.each(Object.entries(eventMessages))('%s has the number and fields of the original', (name, ours) => {
    expect(remote.constants.get(`REMOTE_PROC_${name.toUpperCase()}`)).toBe(ours.number)
    expect(ours.msg.shape).toEqual(remote.shape(`remote_${name}_msg`))
  })

  it('has our limits, authentication types and program', () => {
    for (const [name, limit] of Object.entries(limits)) expect(remote.constants.get(`REMOTE_${name}_MAX`)).toBe(limit)
    for (const [name, type] of Object.entries(AuthType)) expect(remote.constants.get(`REMOTE_AUTH_${name}`)).toBe(type)
    expect(remote.constants.get('REMOTE_STRING_MAX')).toBe(maxString)
    expect(remote.constants.get('REMOTE_PROGRAM')).toBe(Program.REMOTE)
    expect(remote.constants.get('REMOTE_PROTOCOL_VERSION')).toBe(programVersion)
  })
})

describe('virnetprotocol.x', () => {
  it('has our message types, statuses and sizes', () => {
    for (const [name, type] of Object.entries(MessageType)) expect(net.constants.get(`VIR_NET_${name}`)).toBe(type)
    for (const [name, status] of Object.entries(MessageStatus)) {
      expect(net.constants.get(`VIR_NET_${name}`)).toBe(status)
    }
    expect(net.constants.get('VIR_NET_MESSAGE_MAX')).toBe(maxMessage)
    expect(net.constants.get('VIR_NET_MESSAGE_HEADER_MAX')).toBe(headerSize)
    expect(net.constants.get('VIR_NET_MESSAGE_LEN_MAX')).toBe(lengthSize)
    expect(net.constants.get('VIR_NET_MESSAGE_LEGACY_PAYLOAD_MAX')).toBe(maxStreamPayload)
    expect(net.constants.get('VIR_NET_MESSAGE_STRING_MAX')).toBe(maxString)
  })

  it('has our header and error', () => {
    expect(net.shape('virNetMessageHeader')).toEqual({
      kind: 'struct',
      fields: [
        ['prog', { kind: 'uint' }],
        ['vers', { kind: 'uint' }],
        ['proc', { kind: 'int' }],
        ['type', { kind: 'int' }],
        ['serial', { kind: 'uint' }],
        ['status', { kind: 'int' }],
      ],
    })
    expect(remoteError.shape).toEqual(net.shape('virNetMessageError'))
  })
})

it('virkeepaliveprotocol.x has our program and procedures', () => {
  expect(keepalive.constants.get('KEEPALIVE_PROGRAM')).toBe(Program.KEEPALIVE)
  expect(keepalive.constants.get('KEEPALIVE_PROTOCOL_VERSION')).toBe(programVersion)
  for (const [name, procedure] of Object.entries(KeepaliveProcedure)) {
    expect(keepalive.constants.get(`KEEPALIVE_PROC_${name}`)).toBe(procedure)
  }
})

it('virterror.h has our error codes, all of them and no others', () => {
  const codes = /VIR_ERR_OK[\s\S]*?virErrorNumber/.exec(errors)?.[0] ?? ''
  const theirs = [...codes.matchAll(/\bVIR_(ERR|WAR)_(\w+)\s*=\s*(\d+)/g)].map(([, kind, name, number]) => [
    kind === 'ERR' ? name : `WARN_${name}`,
    Number(number),
  ])
  const known = new Set(Object.values(ErrorCode).map(Number))
  const last = Math.max(...known)
  expect(Object.fromEntries(theirs.filter(([, number]) => Number(number) <= last))).toEqual(ErrorCode)
})
