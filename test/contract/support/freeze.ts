import type { Hypervisor } from '../../../hack/hypervisor/index.ts'

/** Stops a libvirt daemon where it is: connections stay, and nothing is answered until what this gives is called. */
export async function freezeDaemon(hypervisor: Hypervisor): Promise<() => Promise<void>> {
  const signal = async (name: 'STOP' | 'CONT') => {
    const command = `kill -${name} "$(cat /run/libvirt/libvirtd.pid)"`
    const { code, stderr } = await hypervisor.run('bash', ['-c', command])
    if (code !== 0) throw new Error(`kill -${name}: ${stderr}`)
  }
  await signal('STOP')
  return () => signal('CONT')
}
