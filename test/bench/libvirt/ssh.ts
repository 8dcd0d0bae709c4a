/** From the command to a command by SSH in the guest: by kubectl and Berth, and by virsh on the same daemon. */
import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { VirtualMachine } from '../../../controller/api/index.ts'
import type { Hypervisor } from '../../../hack/hypervisor/index.ts'
import { ssh } from '../../../hack/lab/guest.ts'
import { until } from '../../../hack/lab/wait.ts'
import { Lab, patience } from '../../e2e/lab.ts'
import type { BenchResult } from '../figures.ts'

const pairs = 3

export async function benchSSH(tell: (text: string) => void): Promise<BenchResult> {
  const lab = await Lab.start(1)
  try {
    const [hypervisor] = lab.hypervisors
    if (hypervisor === undefined) throw new Error('no hypervisor')
    lab.startController()
    await lab.declare()
    await lab.condition('hypervisors', hypervisor.name, 'Ready', 'True')
    // The image is placed with the first machine; both sides begin from there.
    await byBerth(lab, 'first')
    const ours: number[] = []
    const bare: number[] = []
    for (let pair = 0; pair < pairs; pair++) {
      const { seconds, xml, disk } = await byBerth(lab, `pair-${pair}`)
      ours.push(seconds)
      bare.push(await byVirsh(lab, hypervisor, `bare-${pair}`, xml, disk))
      tell(`${ours[pair]?.toFixed(1)} s by Berth, ${bare[pair]?.toFixed(1)} s by virsh`)
    }
    return {
      bench: 'ssh',
      title: 'From the command to SSH in the guest',
      figures: [
        {
          what: 'kubectl apply to SSH',
          unit: 's',
          values: ours,
          reference: { what: 'virsh vol-create-as, define and start to SSH', values: bare },
        },
      ],
    }
  } finally {
    await lab.stop()
  }
}

interface Machine {
  readonly seconds: number
  /** Its definition, and its disk's volume, as Berth made them. */
  readonly xml: string
  readonly disk: string
}

async function byBerth(lab: Lab, name: string): Promise<Machine> {
  const begun = performance.now()
  await lab.apply(lab.machine(name))
  await login(lab, await lab.address(name))
  const seconds = (performance.now() - begun) / 1000
  const vm = await lab.get<VirtualMachine>('virtualmachines', name)
  const [hypervisor] = lab.hypervisors
  const id = vm?.metadata.uid ?? ''
  const { stdout: xml } = (await hypervisor?.virsh(['dumpxml', '--inactive', id])) ?? { stdout: '' }
  const disk = new RegExp(`berth-${id}-(?!seed)[a-z0-9-]+`).exec(xml)?.[0]
  if (disk === undefined) throw new Error(`the definition of ${name} names no disk`)
  // Its seed is used by the bare machine, and goes with it.
  const seed = `berth-${id}-seed`
  await hypervisor?.virsh(['vol-clone', '--pool', hypervisor.poolName, seed, `${name}-seed`])
  await lab.remove('virtualmachines', name)
  return { seconds, xml: xml.replaceAll(seed, `${name}-seed`), disk }
}

/** What an administrator does by hand: a disk over the same image, and the same definition. */
async function byVirsh(lab: Lab, hypervisor: Hypervisor, name: string, given: string, disk: string): Promise<number> {
  const { poolName, poolPath, virsh: run } = hypervisor
  const virsh = async (...args: string[]) => {
    const { code, stdout, stderr } = await run(args)
    if (code !== 0) throw new Error(`virsh ${args[0]}: ${stderr}`)
    return stdout
  }
  const image = `berth-img-${lab.reference.sha256}`
  const capacity = /<capacity[^>]*>(\d+)</.exec(await virsh('vol-dumpxml', '--pool', poolName, image))?.[1] ?? ''
  const mac = '52:54:00:be:77:01'
  const xml = given
    // What says whose machine it is: nobody's but virsh's.
    .replace(/<metadata>.*<\/metadata>/s, '')
    .replaceAll(disk, name)
    .replace(/<uuid>[^<]*<\/uuid>/, `<uuid>${randomUUID()}</uuid>`)
    .replace(/<name>[^<]*<\/name>/, `<name>${name}</name>`)
    .replace(/<mac address='[^']*'\/>/, `<mac address='${mac}'/>`)
  const file = join(lab.directory, `${name}.xml`)
  writeFileSync(file, xml)
  const begun = performance.now()
  const backing = ['--backing-vol', join(poolPath, image), '--backing-vol-format', 'qcow2']
  await virsh('vol-create-as', poolName, name, capacity, '--format', 'qcow2', ...backing)
  await virsh('define', file)
  await virsh('start', name)
  const address = await until(
    'an address',
    async () => /(\d+\.\d+\.\d+\.\d+)\//.exec(await virsh('domifaddr', name))?.[1],
    patience,
  )
  await login(lab, address)
  const seconds = (performance.now() - begun) / 1000
  await virsh('destroy', name)
  await virsh('undefine', name)
  await virsh('vol-delete', '--pool', poolName, name)
  return seconds
}

const login = (lab: Lab, address: string) =>
  until('SSH', async () => (await ssh(address, lab.key, 'true')).code === 0, patience)
