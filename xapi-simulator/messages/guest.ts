import { nullReference } from '../model/types.ts'
import type { Pool } from '../state/pool.ts'

/**
 * Has the guest of a machine that runs go on: some time later its agent reports the addresses, if it has one and has
 * not told them yet. One that is paused by then tells nothing until it goes on.
 */
export function startGuest(pool: Pool, vm: string): void {
  if (!pool.guest.agent) return
  const { domid } = pool.database.get('VM', vm)
  pool.options.clock.after(pool.guest.agentDelay, () => {
    const machine = pool.database.find('VM', vm)
    if (machine === undefined || machine.domid !== domid || machine.power_state !== 'Running') return
    if (machine.guest_metrics !== nullReference) return
    const addresses = machine.VIFs.flatMap((reference) => {
      const vif = pool.database.find('VIF', reference)
      if (vif === undefined) return []
      const ipv4 = addressOf(vif.MAC)
      const { device } = vif
      return [
        [`${device}/ip`, ipv4],
        [`${device}/ipv4/0`, ipv4],
        [`${device}/ipv6/0`, linkLocalAddress(vif.MAC)],
      ]
    })
    const guest_metrics = pool.database.create('VM_guest_metrics', {
      os_version: { name: 'Simulated guest', distro: 'linux', major: '1', minor: '0', uname: '6.1.0' },
      PV_drivers_version: { major: '7', minor: '30', micro: '0', build: '1' },
      PV_drivers_up_to_date: true,
      PV_drivers_detected: true,
      networks: Object.fromEntries(addresses),
      other: {
        'feature-shutdown': '1',
        'feature-reboot': '1',
        'feature-poweroff': '1',
        'feature-suspend': '1',
        'feature-vcpu-hotplug': '1',
      },
      last_updated: pool.now(),
      live: true,
      can_use_hotplug_vbd: 'yes',
      can_use_hotplug_vif: 'yes',
    })
    pool.database.update('VM', vm, { guest_metrics })
  })
}

/** Forgets what the guest's agent reported. */
export function stopGuest(pool: Pool, vm: string): void {
  const { guest_metrics } = pool.database.get('VM', vm)
  if (guest_metrics === nullReference) return
  pool.database.update('VM', vm, { guest_metrics: nullReference })
  if (pool.database.find('VM_guest_metrics', guest_metrics)) pool.database.remove('VM_guest_metrics', guest_metrics)
}

/** An address of the simulated network that follows from the network interface's. */
function addressOf(mac: string): string {
  const bytes = mac.split(':').map((byte) => Number.parseInt(byte, 16))
  return `10.${bytes[3]}.${bytes[4]}.${Math.min(254, Math.max(1, bytes[5] ?? 1))}`
}

function linkLocalAddress(mac: string): string {
  const [a = 0, ...rest] = mac.split(':').map((byte) => Number.parseInt(byte, 16))
  const bytes = [a ^ 2, ...rest.slice(0, 2), 0xff, 0xfe, ...rest.slice(2)]
  const groups = [0, 2, 4, 6].map((index) => (((bytes[index] ?? 0) << 8) | (bytes[index + 1] ?? 0)).toString(16))
  return `fe80::${groups.join(':')}`
}
