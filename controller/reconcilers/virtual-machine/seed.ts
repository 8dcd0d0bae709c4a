/** The NoCloud data that a guest boots with first (cloud-init's NoCloud data source). Pure and deterministic. */
import { stringify } from 'yaml'
import type { VirtualMachine } from '../../api/index.ts'
import type { SeedFiles } from '../../hypervisor/port.ts'

export interface Bootstrap {
  readonly instanceID: string
  readonly hostname: string
  readonly sshUser: string
  readonly sshAuthorizedKeys: readonly string[]
  /** The user's own user data, as it is. */
  readonly userData?: string
  /** The user's own network data, or ours. Absent: the guest asks by DHCP. */
  readonly networkData?: string
}

export function bootstrapOf(
  vm: VirtualMachine,
  instanceID: string,
  { userData, networkData }: Pick<Bootstrap, 'userData' | 'networkData'>,
): Bootstrap {
  const { hostname, sshUser, sshAuthorizedKeys } = vm.spec.bootstrap ?? {}
  return {
    instanceID,
    hostname: hostname ?? vm.metadata.name,
    sshUser: sshUser ?? 'root',
    sshAuthorizedKeys: sshAuthorizedKeys ?? [],
    ...(userData === undefined ? {} : { userData }),
    ...(networkData === undefined ? {} : { networkData }),
  }
}

/** cloud-init reads YAML 1.1, where a host called `no` is a truth value unless it is quoted. One line a value. */
const forCloudInit = { version: '1.1', lineWidth: 0 } as const

/**
 * Ours goes in as user data where the user gives none, so that the smallest readers of NoCloud find it; else as vendor
 * data, which cloud-init merges under the user's, whatever format that has.
 */
export function seedFiles(bootstrap: Bootstrap): SeedFiles {
  const [host = bootstrap.hostname] = bootstrap.hostname.split('.')
  const config = cloudConfig(bootstrap, host)
  const metaData = stringify(
    { 'instance-id': bootstrap.instanceID, 'local-hostname': bootstrap.hostname },
    forCloudInit,
  )
  const data =
    bootstrap.userData === undefined
      ? { 'user-data': config }
      : { 'user-data': bootstrap.userData, 'vendor-data': config }
  const network = bootstrap.networkData === undefined ? {} : { 'network-config': bootstrap.networkData }
  return { 'meta-data': metaData, ...data, ...network }
}

function cloudConfig({ hostname, sshUser, sshAuthorizedKeys }: Bootstrap, host: string): string {
  const account = { name: sshUser, ssh_authorized_keys: [...sshAuthorizedKeys] }
  // Cloud images forbid root by default and lock what they create; who is named here is meant to log in, by key alone.
  const user =
    sshUser === 'root' ? account : { ...account, lock_passwd: true, shell: '/bin/bash', sudo: 'ALL=(ALL) NOPASSWD:ALL' }
  const config = {
    hostname: host,
    ...(hostname === host ? {} : { fqdn: hostname }),
    disable_root: sshUser !== 'root',
    ...(sshAuthorizedKeys.length === 0 ? {} : { users: [user] }),
  }
  return `#cloud-config\n${stringify(config, forCloudInit)}`
}
