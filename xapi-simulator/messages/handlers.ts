import type { ClassName, Message } from '../model/model.ts'
import { classOf } from '../model/model.ts'
import type { Handler } from './call.ts'
import { eventMessages } from './event.ts'
import { genericHandler } from './generic.ts'
import { hostMessages, networkMessages, poolMessages } from './pool.ts'
import { sessionMessages } from './session.ts'
import { pbdMessages, srMessages } from './storage.ts'
import { taskMessages } from './task.ts'
import { vbdMessages } from './vbd.ts'
import { vdiMessages } from './vdi.ts'
import { vifMessages } from './vif.ts'
import { vmMessages } from './vm.ts'

const own: Partial<Record<ClassName, object>> = {
  session: sessionMessages,
  task: taskMessages,
  event: eventMessages,
  pool: poolMessages,
  host: hostMessages,
  network: networkMessages,
  VM: vmMessages,
  VDI: vdiMessages,
  VBD: vbdMessages,
  VIF: vifMessages,
  SR: srMessages,
  PBD: pbdMessages,
}

/** What carries out a message; undefined if nothing here does. */
export function handlerOf(message: Message): Handler | undefined {
  // The dispatcher gives every handler what the data model says of its message.
  const handlers = (own[message.className] ?? {}) as Readonly<Record<string, Handler>>
  const special = Object.hasOwn(handlers, message.name) ? handlers[message.name] : undefined
  return special ?? genericHandler(classOf(message.className), message)
}
