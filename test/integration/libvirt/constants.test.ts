import { beforeAll, expect, it } from '@jest/globals'
import * as constants from '../../../node-libvirt/constants.ts'
import { parseEnums } from './support/c-enums.ts'
import { libvirtSource } from './support/source.ts'

// Our flags and states are written by hand; this compares each with libvirt's header files.

let theirs: ReadonlyMap<string, number>

beforeAll(async () => {
  const { common, host, domain, snapshot, storage, network, nodeDevice, secret } = await libvirtSource()
  theirs = parseEnums(common, host, domain, snapshot, storage, network, nodeDevice, secret)
}, 120_000)

/** What libvirt puts before the names. */
const prefixes: Readonly<Record<keyof typeof constants, string>> = {
  AgentLifecycleState: 'CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_',
  AgentResponseTimeout: 'DOMAIN_AGENT_RESPONSE_TIMEOUT_',
  AuthorizedSSHKeysSetFlags: 'DOMAIN_AUTHORIZED_SSH_KEYS_SET_',
  BlockCommitFlags: 'DOMAIN_BLOCK_COMMIT_',
  BlockCopyFlags: 'DOMAIN_BLOCK_COPY_',
  BlockJobAbortFlags: 'DOMAIN_BLOCK_JOB_ABORT_',
  BlockJobStatus: 'DOMAIN_BLOCK_JOB_',
  BlockJobType: 'DOMAIN_BLOCK_JOB_TYPE_',
  BlockPullFlags: 'DOMAIN_BLOCK_PULL_',
  BlockResizeFlags: 'DOMAIN_BLOCK_RESIZE_',
  CPUCompareResult: 'CPU_COMPARE_',
  ChannelFlags: 'DOMAIN_CHANNEL_',
  ConsoleFlags: 'DOMAIN_CONSOLE_',
  DeviceModifyFlags: 'DOMAIN_DEVICE_MODIFY_',
  DiskErrorCode: 'DOMAIN_DISK_ERROR_',
  DomainControlState: 'DOMAIN_CONTROL_',
  DomainCoreDumpFlags: 'DUMP_',
  DomainCoreDumpFormat: 'DOMAIN_CORE_DUMP_FORMAT_',
  DomainCrashedReason: 'DOMAIN_CRASHED_',
  DomainCreateFlags: 'DOMAIN_START_',
  DomainDefineFlags: 'DOMAIN_DEFINE_',
  DomainDestroyFlags: 'DOMAIN_DESTROY_',
  DomainEventShutdownDetail: 'DOMAIN_EVENT_SHUTDOWN_',
  DomainEventStartedDetail: 'DOMAIN_EVENT_STARTED_',
  DomainEventStoppedDetail: 'DOMAIN_EVENT_STOPPED_',
  DomainEventSuspendedDetail: 'DOMAIN_EVENT_SUSPENDED_',
  DomainEventType: 'DOMAIN_EVENT_',
  DomainJobType: 'DOMAIN_JOB_',
  DomainMemoryFlags: 'DOMAIN_MEM_',
  DomainMessageType: 'DOMAIN_MESSAGE_',
  DomainMetadataType: 'DOMAIN_METADATA_',
  DomainModificationImpact: 'DOMAIN_AFFECT_',
  DomainPausedReason: 'DOMAIN_PAUSED_',
  DomainRebootFlags: 'DOMAIN_REBOOT_',
  DomainRunningReason: 'DOMAIN_RUNNING_',
  DomainSaveFlags: 'DOMAIN_SAVE_',
  DomainSaveImageXMLFlags: 'DOMAIN_SAVE_IMAGE_XML_',
  DomainShutdownFlags: 'DOMAIN_SHUTDOWN_',
  DomainShutoffReason: 'DOMAIN_SHUTOFF_',
  DomainState: 'DOMAIN_',
  DomainStatsTypes: 'DOMAIN_STATS_',
  DomainUndefineFlags: 'DOMAIN_UNDEFINE_',
  DomainVCPUFlags: 'DOMAIN_VCPU_',
  DomainXMLFlags: 'DOMAIN_XML_',
  GetAllDomainStatsFlags: 'CONNECT_GET_ALL_DOMAINS_STATS_',
  GetHostnameFlags: 'DOMAIN_GET_HOSTNAME_',
  GetJobStatsFlags: 'DOMAIN_JOB_STATS_',
  GuestInfoTypes: 'DOMAIN_GUEST_INFO_',
  IOErrorAction: 'DOMAIN_EVENT_IO_ERROR_',
  IPAddressType: 'IP_ADDR_TYPE_',
  InterfaceAddressesSource: 'DOMAIN_INTERFACE_ADDRESSES_SRC_',
  KeycodeSet: 'KEYCODE_SET_',
  ListDomainsFlags: 'CONNECT_LIST_DOMAINS_',
  ListNetworksFlags: 'CONNECT_LIST_NETWORKS_',
  ListNodeDevicesFlags: 'CONNECT_LIST_NODE_DEVICES_',
  ListSecretsFlags: 'CONNECT_LIST_SECRETS_',
  ListSnapshotsFlags: 'DOMAIN_SNAPSHOT_LIST_',
  ListStoragePoolsFlags: 'CONNECT_LIST_STORAGE_POOLS_',
  MemoryStat: 'DOMAIN_MEMORY_STAT_',
  NetworkEventType: 'NETWORK_EVENT_',
  NetworkUpdateCommand: 'NETWORK_UPDATE_COMMAND_',
  NetworkUpdateFlags: 'NETWORK_UPDATE_AFFECT_',
  NetworkUpdateSection: 'NETWORK_SECTION_',
  NetworkXMLFlags: 'NETWORK_XML_',
  NodeDeviceEventType: 'NODE_DEVICE_EVENT_',
  NodeSuspendTarget: 'NODE_SUSPEND_TARGET_',
  SecretEventType: 'SECRET_EVENT_',
  SecretUsageType: 'SECRET_USAGE_TYPE_',
  SetTimeFlags: 'DOMAIN_TIME_',
  SetUserPasswordFlags: 'DOMAIN_PASSWORD_',
  SnapshotCreateFlags: 'DOMAIN_SNAPSHOT_CREATE_',
  SnapshotDeleteFlags: 'DOMAIN_SNAPSHOT_DELETE_',
  SnapshotRevertFlags: 'DOMAIN_SNAPSHOT_REVERT_',
  SnapshotXMLFlags: 'DOMAIN_SNAPSHOT_XML_',
  StoragePoolBuildFlags: 'STORAGE_POOL_BUILD_',
  StoragePoolCreateFlags: 'STORAGE_POOL_CREATE_',
  StoragePoolDeleteFlags: 'STORAGE_POOL_DELETE_',
  StoragePoolEventType: 'STORAGE_POOL_EVENT_',
  StoragePoolState: 'STORAGE_POOL_',
  StorageVolumeCreateFlags: 'STORAGE_VOL_CREATE_',
  StorageVolumeDeleteFlags: 'STORAGE_VOL_DELETE_',
  StorageVolumeResizeFlags: 'STORAGE_VOL_RESIZE_',
  StorageVolumeType: 'STORAGE_VOL_',
  VCPUState: 'VCPU_',
  WatchdogAction: 'DOMAIN_EVENT_WATCHDOG_',
}

it.each(Object.entries(constants) as [keyof typeof constants, Readonly<Record<string, number>>][])(
  '%s is that of libvirt',
  (name, ours) => {
    const found = Object.keys(ours).map((key) => {
      const full = `VIR_${prefixes[name]}${key}`
      return [key, theirs.get(full) ?? full]
    })
    expect(ours).toEqual(Object.fromEntries(found))
  },
)
