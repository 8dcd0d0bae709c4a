import { nullReference, type Value } from './types.ts'

/**
 * Parameters that a caller may leave out, with what they are then: what was added to a message in a later release. The
 * published data model does not tell; this is from the definitions of xapi's data model, of messages that are answered.
 */
export const parameterDefaults: Readonly<Record<string, Readonly<Record<string, Value>>>> = {
  'session.login_with_password': { version: '1.1', originator: '' },
  'VM.snapshot': { ignore_vdis: [] },
  'VDI.snapshot': { driver_params: {} },
  'VDI.clone': { driver_params: {} },
  'VDI.copy': { sr: nullReference, base_vdi: nullReference, into_vdi: nullReference },
  'VIF.configure_ipv4': { address: '', gateway: '' },
  'VIF.configure_ipv6': { address: '', gateway: '' },
  'SR.create': { sm_config: {} },
  'SR.make': { sm_config: {} },
  'SR.introduce': { sm_config: {} },
  'SR.probe': { sm_config: {} },
  'host.evacuate': { network: nullReference, evacuate_batch_size: 0 },
}
