import type { StoragePool } from '../../api/index.ts'

/** What a pool is called on its hypervisor. */
export const hostPool = ({ spec, metadata }: StoragePool): string => spec.uuid ?? spec.poolName ?? metadata.name
