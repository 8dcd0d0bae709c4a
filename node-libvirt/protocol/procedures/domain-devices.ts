import { flags, procedure, xml } from '../procedure.ts'
import { typedParameters } from '../typed-parameters.ts'
import { domain, limits, nonnullString, nullableString } from '../types.ts'
import { array, int, nothing, struct, uhyper, uint } from '../xdr.ts'

const deviceArgs = struct({ dom: domain, xml, flags })
const pathFlagsArgs = struct({ dom: domain, path: nonnullString, flags })
const ioTune = typedParameters(limits.DOMAIN_BLOCK_IO_TUNE_PARAMETERS)
const interfaceParameters = typedParameters(limits.DOMAIN_INTERFACE_PARAMETERS)

/** Devices of domains: disks and their jobs, interfaces, consoles, screens. */
export const domainDeviceProcedures = {
  domain_attach_device_flags: procedure(160, deviceArgs, nothing),
  domain_detach_device_flags: procedure(161, deviceArgs, nothing),
  domain_detach_device_alias: procedure(392, struct({ dom: domain, alias: nonnullString, flags }), nothing),
  domain_update_device_flags: procedure(174, deviceArgs, nothing),

  // Disks
  domain_block_resize: procedure(251, struct({ dom: domain, disk: nonnullString, size: uhyper, flags }), nothing),
  domain_get_block_info: procedure(
    194,
    pathFlagsArgs,
    struct({ allocation: uhyper, capacity: uhyper, physical: uhyper }),
  ),
  domain_get_disk_errors: procedure(
    263,
    struct({ dom: domain, maxerrors: uint, flags }),
    struct({
      errors: array(struct({ disk: nonnullString, error: int }), limits.DOMAIN_DISK_ERRORS),
      nerrors: int,
    }),
  ),
  domain_set_block_io_tune: procedure(
    252,
    struct({ dom: domain, disk: nonnullString, params: ioTune, flags }),
    nothing,
  ),
  domain_get_block_io_tune: procedure(
    253,
    struct({ dom: domain, disk: nullableString, nparams: int, flags }),
    struct({ params: ioTune, nparams: int }),
  ),

  // Jobs on disks
  domain_block_commit: procedure(
    290,
    struct({
      dom: domain,
      disk: nonnullString,
      base: nullableString,
      top: nullableString,
      bandwidth: uhyper,
      flags,
    }),
    nothing,
  ),
  domain_block_copy: procedure(
    345,
    struct({
      dom: domain,
      path: nonnullString,
      destxml: nonnullString,
      params: typedParameters(limits.DOMAIN_BLOCK_COPY_PARAMETERS),
      flags,
    }),
    nothing,
  ),
  domain_block_pull: procedure(240, struct({ dom: domain, path: nonnullString, bandwidth: uhyper, flags }), nothing),
  domain_block_job_abort: procedure(237, pathFlagsArgs, nothing),
  domain_get_block_job_info: procedure(
    238,
    pathFlagsArgs,
    struct({ found: int, type: int, bandwidth: uhyper, cur: uhyper, end: uhyper }),
  ),

  // Interfaces
  domain_set_interface_parameters: procedure(
    256,
    struct({ dom: domain, device: nonnullString, params: interfaceParameters, flags }),
    nothing,
  ),
  domain_get_interface_parameters: procedure(
    257,
    struct({ dom: domain, device: nonnullString, nparams: int, flags }),
    struct({ params: interfaceParameters, nparams: int }),
  ),

  // Consoles and screens
  domain_open_console: procedure(201, struct({ dom: domain, dev_name: nullableString, flags }), nothing),
  domain_open_channel: procedure(296, struct({ dom: domain, name: nullableString, flags }), nothing),
  domain_screenshot: procedure(211, struct({ dom: domain, screen: uint, flags }), struct({ mime: nullableString })),
} as const
