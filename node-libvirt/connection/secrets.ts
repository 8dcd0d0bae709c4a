import { NodeDevice } from '../node-device.ts'
import type { CallOptions } from '../rpc/caller.ts'
import { Secret } from '../secret.ts'
import { NetworkMethods } from './networks.ts'

/** The server's secrets, and the devices of its host. */
export abstract class SecretMethods extends NetworkMethods {
  /** @param flags `ListSecretsFlags`; 0 lists all. */
  async listAllSecrets(flags = 0, options?: CallOptions): Promise<readonly Secret[]> {
    const { secrets } = await this.client.call('connect_list_all_secrets', { need_results: 1, flags }, options)
    return secrets.map((secret) => new Secret(this.client, secret))
  }

  /** @throws LibvirtError NO_SECRET */
  async lookupSecretByUUID(uuid: string, options?: CallOptions): Promise<Secret> {
    return new Secret(this.client, (await this.client.call('secret_lookup_by_uuid', { uuid }, options)).secret)
  }

  /** @param usageType `SecretUsageType` @throws LibvirtError NO_SECRET */
  async lookupSecretByUsage(usageType: number, usageID: string, options?: CallOptions): Promise<Secret> {
    const { secret } = await this.client.call('secret_lookup_by_usage', { usageType, usageID }, options)
    return new Secret(this.client, secret)
  }

  /** Defines or redefines; the value is set by `Secret.setValue`. */
  async defineSecret(xml: string, options?: CallOptions): Promise<Secret> {
    return new Secret(this.client, (await this.client.call('secret_define_xml', { xml, flags: 0 }, options)).secret)
  }

  /** @param flags `ListNodeDevicesFlags`; 0 lists all. */
  async listAllNodeDevices(flags = 0, options?: CallOptions): Promise<readonly NodeDevice[]> {
    const { devices } = await this.client.call('connect_list_all_node_devices', { need_results: 1, flags }, options)
    return devices.map((device) => new NodeDevice(this.client, device))
  }

  /** @throws LibvirtError NO_NODE_DEVICE */
  async lookupNodeDeviceByName(name: string, options?: CallOptions): Promise<NodeDevice> {
    return new NodeDevice(this.client, (await this.client.call('node_device_lookup_by_name', { name }, options)).dev)
  }
}
