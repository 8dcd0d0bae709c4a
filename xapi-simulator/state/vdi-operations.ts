import { XapiError } from '../errors.ts'
import { enumeration, type RecordOf } from '../model/model.ts'

/** What the rules look at besides the record. */
export interface VdiSurroundings {
  /** The VBDs through which a running or suspended machine has it. */
  readonly attached: readonly RecordOf<'VBD'>[]
  /** Whether any host has its SR plugged. */
  readonly plugged: boolean
}

/** Operations for which it does not matter that a machine has the disk. */
const liveOperations: ReadonlySet<string> = new Set([
  'snapshot',
  'resize_online',
  'blocked',
  'clone',
  'mirror',
  'enable_cbt',
  'disable_cbt',
  'data_destroy',
])

/** Operations of storage drivers and of changed block tracking, which are not here. */
const unsupported: ReadonlySet<string> = new Set([
  'resize_online',
  'mirror',
  'force_unlock',
  'enable_cbt',
  'disable_cbt',
  'data_destroy',
  'list_changed_blocks',
  'blocked',
])

/** Says why an operation may not begin, by the first rule of xapi that forbids it; undefined if it may. */
export function vdiRefusal(
  reference: string,
  vdi: RecordOf<'VDI'>,
  operation: string,
  { attached, plugged }: VdiSurroundings,
): XapiError | undefined {
  const other = Object.entries(vdi.current_operations).find(([, name]) => name !== 'copy')
  if (other) return new XapiError('OTHER_OPERATION_IN_PROGRESS', 'VDI', reference, other[1], other[0])
  if (operation === 'resize' && !plugged) return new XapiError('SR_NO_PBDS', vdi.SR)
  const inTheWay = liveOperations.has(operation)
    ? []
    : operation === 'copy'
      ? attached.filter(({ mode }) => mode === 'RW')
      : attached
  if (inTheWay.length > 0) return new XapiError('VDI_IN_USE', reference, operation)
  if (unsupported.has(operation)) return new XapiError('SR_OPERATION_NOT_SUPPORTED', vdi.SR)
  return undefined
}

export function allowedVdiOperations(reference: string, vdi: RecordOf<'VDI'>, surroundings: VdiSurroundings): string[] {
  return enumeration('vdi_operations').filter(
    (operation) => vdiRefusal(reference, vdi, operation, surroundings) === undefined,
  )
}
