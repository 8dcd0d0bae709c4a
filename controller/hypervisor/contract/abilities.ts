import type { Capabilities } from '../port.ts'

export interface Ability {
  /** What a host without it cannot do, after "cannot …". */
  readonly meaning: string
  /** Where a driver's capabilities tell of it: what is excluded has to agree with them. */
  readonly told?: (capabilities: Capabilities) => boolean
}

const ability = (meaning: string, told?: Ability['told']): Ability =>
  told === undefined ? { meaning } : { meaning, told }

/**
 * What a part of the contract needs of a host beyond what every host has. A driver's tests say which are lacking, and
 * why; those parts are excluded, whatever the driver's name is.
 */
export const abilities = {
  Definitions: ability('define machines by itself', ({ architectures }) => architectures.length > 0),
  Uploads: ability('take content: no images, no seeds'),
  QCOW2: ability(
    'take images in qcow2',
    ({ imageFormats }) => imageFormats === undefined || imageFormats.includes('qcow2'),
  ),
  LinkedClone: ability('make copy-on-write disks', ({ features }) => features.includes('LinkedClone')),
  ExternalSnapshots: ability('move a disk to another file by a snapshot'),
  HotPlugDisk: ability('give a running machine disks, or take them', ({ features }) =>
    features.includes('HotPlugDisk'),
  ),
  GrowDisk: ability('make a disk larger while its machine runs', ({ features }) => features.includes('GrowDisk')),
  LettingGo: ability('run a guest that lets go of a disk when it is asked to'),
  HoldingOn: ability('run a guest that does not let go of a disk'),
  DirectoryPools: ability('make storage pools in directories', ({ storageTypes }) =>
    storageTypes.includes('Directory'),
  ),
  TruncatedImages: ability('have an image that lost its end'),
  SmallPools: ability('have a storage pool that is soon full'),
  ChosenIDs: ability('give a machine the id that is asked for'),
  UniqueNames: ability('refuse two machines of one name'),
  TransientMachines: ability('run a machine that is not defined'),
  StopReasons: ability('tell why a machine is off'),
  DeafGuests: ability('run a guest that does not listen to the power button'),
  Pausing: ability('pause a machine', ({ features }) => features.includes('Pause')),
  HotPlugCPU: ability('give a running machine CPUs', ({ features }) => features.includes('HotPlugCPU')),
  HotPlugMemory: ability('give a running machine memory', ({ features }) => features.includes('HotPlugMemory')),
  PausedStarts: ability('start a machine that is held from its first instruction on'),
  Suspending: ability("save a machine's memory", ({ features }) => features.includes('Suspend')),
  HotPlugNetwork: ability('change the interfaces of a machine that runs', ({ features }) =>
    features.includes('HotPlugNetwork'),
  ),
  AntiSpoofing: ability('filter what a guest sends under MAC addresses of others', ({ features }) =>
    features.includes('AntiSpoofing'),
  ),
  StartReasons: ability('tell whether a machine booted or went on from a saved memory'),
  FencedStart: ability('refuse the start of a parked machine by itself'),
  MachineEvents: ability('tell of what happens to machines'),
  Restart: ability('restart what sessions are connected to while machines run'),
  Freezing: ability('be made to hang'),
} as const satisfies Readonly<Record<string, Ability>>

export type AbilityName = keyof typeof abilities

/** Why a host lacks an ability, for people. */
export type Lacks = Readonly<Partial<Record<AbilityName, string>>>
