/** What a VirtualMachine's spec means, given the objects that it names. Pure over the caches. */
import { createHash } from 'node:crypto'
import {
  type Disk,
  type ImageRef,
  parseBytes,
  type VirtualMachine,
  type VirtualMachineStatus,
} from '../../api/index.ts'
import type { BootMode } from '../../hypervisor/port.ts'
import type { ReadObject } from '../../kube/port.ts'
import type { Demand, Turn } from '../../placement/index.ts'
import type { Caches } from '../shared/caches.ts'
import type { Problem } from './model.ts'
import { problem, type Resolution } from './resolution.ts'
import { type ResolvedSize, resolveSize } from './size.ts'

export interface ResolvedImage {
  readonly kind: 'Image' | 'ClusterImage'
  readonly name: string
  readonly uid: string
  readonly digest: string
  readonly format: 'qcow2' | 'raw'
  /** Bytes. */
  readonly virtualSize: number
  readonly architecture: string
  /** Absent: any. */
  readonly mode?: BootMode
  /** Bytes of memory that a new machine must have. */
  readonly leastMemory?: number
  /** Bytes of root disk that a new machine must have. */
  readonly leastStorage?: number
}

export interface ResolvedInterface {
  readonly name: string
  readonly network: string
  readonly macAddress: string
}

export const instanceIDOf = (vm: ReadObject<VirtualMachine>): string => vm.status?.instanceID ?? vm.metadata.uid

/** What the root disk is made from; pinned by uid and digest once recorded. */
export function resolveImage({ metadata, spec, status }: VirtualMachine, caches: Caches): Resolution<ResolvedImage> {
  const reference = { ...spec.image, namespace: metadata.namespace, field: 'spec.image' }
  return findImage(reference, status?.image, caches)
}

interface ImageReference extends ImageRef {
  readonly namespace: string | undefined
  readonly field: string
}

/** An Image of the namespace, else a ClusterImage. */
function findImage(
  reference: ImageReference,
  pinned: NonNullable<VirtualMachineStatus['image']> | undefined,
  caches: Caches,
): Resolution<ResolvedImage> {
  const local = () => caches.images.get(`${reference.namespace}/${reference.name}`)
  const global = () => caches.clusterImages.get(reference.name)
  const found =
    reference.kind === 'Image' ? local() : reference.kind === 'ClusterImage' ? global() : (local() ?? global())
  const where = `${reference.field}: ${reference.kind ?? 'image'} ${reference.name}`
  if (!found) return problem('ImageNotFound', `${where} does not exist (kubectl get bimg,bcimg)`)
  const { digest, format, virtualSize } = found.status ?? {}
  if (!pinned && found.metadata.deletionTimestamp !== undefined) {
    return problem('ImageNotFound', `${where} is being deleted: name another`)
  }
  if (!pinned && found.status?.state === 'Failed')
    return problem('ImageFailed', `${where} cannot be used: see its conditions`)
  if (digest === undefined || format === undefined || virtualSize === undefined) {
    const { state, progress } = found.status ?? {}
    return problem(
      'WaitingForImage',
      `${where} is ${state ?? 'Pending'}${progress === undefined ? '' : `, ${progress}`}`,
    )
  }
  if (pinned && (pinned.uid !== found.metadata.uid || pinned.digest !== digest)) {
    return problem('ImageNotFound', `${where} is no longer the one that the machine was made from (${pinned.digest})`)
  }
  return {
    value: {
      kind: found.kind === 'ClusterImage' ? 'ClusterImage' : 'Image',
      name: reference.name,
      uid: found.metadata.uid,
      digest,
      format: format === 'QCOW2' ? 'qcow2' : 'raw',
      virtualSize: parseBytes(virtualSize),
      architecture: found.spec.architecture ?? 'x86_64',
      ...(found.spec.boot?.mode === undefined ? {} : { mode: found.spec.boot.mode }),
      // A machine that is made already is not held to what was asked of new ones since.
      ...(pinned ? {} : leastOf(found.spec.minimum)),
    },
  }
}

const leastOf = (minimum: { memory?: string; storage?: string } | undefined) => ({
  ...(minimum?.memory === undefined ? {} : { leastMemory: parseBytes(minimum.memory) }),
  ...(minimum?.storage === undefined ? {} : { leastStorage: parseBytes(minimum.storage) }),
})

/** Absent: one, eth0, on the only Network there is; the one that was recorded, once the machine is placed. */
export function resolveInterfaces(
  vm: ReadObject<VirtualMachine>,
  caches: Caches,
): Resolution<readonly ResolvedInterface[]> {
  const resolved: ResolvedInterface[] = []
  for (const declared of declaredInterfaces(vm)) {
    const { network, ...known } = resolveInterface(vm, declared, caches)
    if ('problem' in network) return network
    resolved.push({ ...known, network: network.value })
  }
  return { value: resolved }
}

/** Those whose Network is known. */
export const knownInterfaces = (vm: ReadObject<VirtualMachine>, caches: Caches): readonly ResolvedInterface[] =>
  declaredInterfaces(vm).flatMap((declared) => {
    const { network, ...known } = resolveInterface(vm, declared, caches)
    return 'problem' in network ? [] : [{ ...known, network: network.value }]
  })

type DeclaredInterface = NonNullable<VirtualMachine['spec']['networkInterfaces']>[number]

export const declaredInterfaces = ({ spec }: VirtualMachine): readonly DeclaredInterface[] =>
  spec.networkInterfaces ?? [{ name: 'eth0' }]

/** One of them. A MAC address that it once had stays, unless another is declared. */
export function resolveInterface(
  vm: ReadObject<VirtualMachine>,
  { name, network, macAddress }: DeclaredInterface,
  caches: Caches,
): Omit<ResolvedInterface, 'network'> & { readonly network: Resolution<string> } {
  const recorded = vm.status?.networkInterfaces?.find((one) => one.name === name)
  const address = macAddress ?? recorded?.macAddress ?? generatedMAC(instanceIDOf(vm), name)
  return {
    name,
    macAddress: address.toLowerCase(),
    network: resolveNetwork(vm, name, network ?? recorded?.network, caches),
  }
}

function resolveNetwork(
  { spec }: VirtualMachine,
  name: string,
  wanted: string | undefined,
  caches: Caches,
): Resolution<string> {
  const named = wanted ?? onlyNetwork(caches)
  const index = spec.networkInterfaces?.findIndex((one) => one.name === name)
  const field = index === undefined ? 'spec.networkInterfaces' : `spec.networkInterfaces[${index}].network`
  if (named === undefined) {
    const networks = caches.networks.list().map(({ metadata }) => metadata.name)
    return problem(
      'NetworkNotFound',
      networks.length === 0
        ? `${field}: there is no Network yet: apply one, or set networkInterfaces: []`
        : `${field}: name one of the Networks ${networks.toSorted().slice(0, 10).join(', ')}`,
    )
  }
  return caches.networks.get(named)
    ? { value: named }
    : problem('NetworkNotFound', `${field}: there is no Network ${named} (kubectl get bnet)`)
}

const onlyNetwork = (caches: Caches): string | undefined => {
  const networks = caches.networks.list()
  return networks.length === 1 ? networks[0]?.metadata.name : undefined
}

/** Derived from the instance id and the interface's name, so that it is the same after a crash or a rebuild. */
export function generatedMAC(instanceID: string, name: string): string {
  const hash = createHash('sha256').update(`${instanceID}/${name}`).digest('hex')
  return `52:54:00:${hash.slice(0, 2)}:${hash.slice(2, 4)}:${hash.slice(4, 6)}`
}

/**
 * disks[root].size, else the largest of the size's storage, the image, and the least that the image asks for. Once it is
 * made, it is as it was made.
 */
export function rootCapacity(
  vm: ReadObject<VirtualMachine>,
  size: ResolvedSize,
  image: ResolvedImage,
): Resolution<number> {
  const made = vm.status?.disks?.find(({ name }) => name === 'root')?.size
  if (made !== undefined) return { value: parseBytes(made) }
  const declared = rootDisk(vm)?.size
  const needed = Math.max(image.virtualSize, image.leastStorage ?? 0)
  const wanted = declared === undefined ? Math.max(size.storage ?? 0, needed) : parseBytes(declared)
  if (wanted < needed) {
    return problem(
      'SmallerThanImage',
      `spec.disks[root].size: ${declared} is smaller than the image, which needs ${Math.ceil(needed / 2 ** 20)}Mi`,
    )
  }
  return { value: wanted }
}

/** Whether the size has the memory that the image asks for. */
function checkMemory(vm: VirtualMachine, { memory }: ResolvedSize, image: ResolvedImage): Problem | undefined {
  const { leastMemory = 0 } = image
  if (memory >= leastMemory) return undefined
  const field = vm.spec.resources ? 'spec.resources.memory' : `spec.size: ${vm.spec.size}`
  const [has, needs] = [Math.floor(memory / 2 ** 20), Math.ceil(leastMemory / 2 ** 20)]
  const message = `${field} has ${has}Mi of memory, but ${image.kind} ${image.name} needs ${needs}Mi`
  return { code: 'InvalidConfiguration', message }
}

/** A disk that is not made yet. */
export interface ResolvedDisk {
  readonly capacity: number
  /** What it is a copy of. */
  readonly image?: ResolvedImage
}

/** Disks beside the root that are not recorded yet, by name. */
function resolveDataDisks(vm: VirtualMachine, caches: Caches): ReadonlyMap<string, Resolution<ResolvedDisk>> {
  const recorded = new Set(['root', ...(vm.status?.disks ?? []).map(({ name }) => name)])
  const disks = (vm.spec.disks ?? []).filter(({ name }) => !recorded.has(name))
  return new Map(disks.map((disk) => [disk.name, resolveDataDisk(vm, disk, caches)]))
}

function resolveDataDisk({ metadata }: VirtualMachine, disk: Disk, caches: Caches): Resolution<ResolvedDisk> {
  const field = `spec.disks[${disk.name}]`
  const declared = disk.size === undefined ? undefined : parseBytes(disk.size)
  if (!disk.source) {
    // The CRD's rules see to it.
    if (declared === undefined) return problem('InvalidConfiguration', `${field}: a disk without a source needs a size`)
    return { value: { capacity: declared } }
  }
  const reference = { ...disk.source.image, namespace: metadata.namespace, field: `${field}.source.image` }
  const image = findImage(reference, undefined, caches)
  if ('problem' in image) return image
  const { virtualSize } = image.value
  if (declared !== undefined && declared < virtualSize) {
    const needs = `${Math.ceil(virtualSize / 2 ** 20)}Mi`
    return problem('SmallerThanImage', `${field}.size: ${disk.size} is smaller than the image, which needs ${needs}`)
  }
  return { value: { capacity: declared ?? virtualSize, image: image.value } }
}

export const rootDisk = (vm: VirtualMachine) => vm.spec.disks?.find(({ name }) => name === 'root')

export interface Resolved {
  readonly size: Resolution<ResolvedSize>
  readonly image: Resolution<ResolvedImage>
  readonly interfaces: Resolution<readonly ResolvedInterface[]>
  readonly rootCapacity: Resolution<number>
  /** Disks beside the root that are not recorded yet, by name. */
  readonly dataDisks: ReadonlyMap<string, Resolution<ResolvedDisk>>
  /** The first of their problems. */
  readonly problem?: Problem
}

export function resolve(vm: ReadObject<VirtualMachine>, caches: Caches): Resolved {
  const size = resolveSize(vm, caches)
  const image = resolveImage(vm, caches)
  const interfaces = resolveInterfaces(vm, caches)
  const capacity: Resolution<number> =
    'problem' in size ? size : 'problem' in image ? image : rootCapacity(vm, size.value, image.value)
  const dataDisks = resolveDataDisks(vm, caches)
  // Once it has run, what is added to a machine stops nothing.
  const awaited = vm.status?.firstBootTime === undefined ? [...dataDisks.values()] : []
  const first = [size, image, capacity, interfaces, ...awaited].find((resolution) => 'problem' in resolution)
  const memory = 'problem' in size || 'problem' in image ? undefined : checkMemory(vm, size.value, image.value)
  const found = first && 'problem' in first ? first.problem : memory
  return {
    size,
    image,
    interfaces,
    rootCapacity: capacity,
    dataDisks,
    ...(found === undefined ? {} : { problem: found }),
  }
}

/** What the machine asks of placement; undefined while something that it needs is missing. */
export function demandOf(vm: ReadObject<VirtualMachine>, turn: Turn, resolved: Resolved): Demand | undefined {
  const { size, image, interfaces, rootCapacity } = resolved
  if (resolved.problem) return undefined
  if ('problem' in size || 'problem' in image || 'problem' in interfaces || 'problem' in rootCapacity) return undefined
  const { slot, slotSelector, tolerations } = vm.spec.placement ?? {}
  const disksOn = disksAreOn(vm.status)
  const pool = rootDisk(vm)?.storagePool
  const dataPools = (vm.spec.disks ?? []).flatMap(({ name, storagePool }) =>
    name === 'root' || storagePool === undefined ? [] : [storagePool],
  )
  return {
    ...turn,
    cpus: size.value.cpus,
    memory: size.value.memory,
    architecture: image.value.architecture,
    ...(image.value.mode === undefined ? {} : { mode: image.value.mode }),
    tolerations: (tolerations ?? []).map(({ operator = 'Equal', ...rest }) => ({ operator, ...rest })),
    networks: [...new Set(interfaces.value.map(({ network }) => network))],
    ...(slot === undefined ? {} : { slot }),
    ...(slotSelector === undefined ? {} : { slotSelector }),
    ...(disksOn === undefined ? {} : { disksOn }),
    ...(pool === undefined ? {} : { pool }),
    ...(dataPools.length === 0 ? {} : { dataPools }),
  }
}

/** The hypervisor is sticky from the first record on: a disk may be there, or on its way. */
export const disksAreOn = (status: VirtualMachineStatus | undefined): string | undefined => status?.hypervisor
