/** What is told of a step that concerns one disk. Pure. */
import { formatBytes } from '../../api/index.ts'
import type { DiskFacts } from './disk-model.ts'
import type { Line } from './history.ts'
import type { Step } from './model.ts'
import { isRunning, type View } from './view.ts'

type DiskStep =
  | Extract<Step, { do: 'RecordDisks' | 'AttachDisk' | 'DetachDisk' | 'GrowDisk' }>
  | { readonly do: 'CreateDisk'; readonly disk: string }

export function lineOfDisk(step: DiskStep, view: View): Line | undefined {
  if (step.do === 'RecordDisks') return lineOfRetained(step, view)
  const disk = factsOf(step.disk, view)
  const where = `volume ${disk?.volumeName} in storage pool ${disk?.storagePool}`
  const size = formatBytes(disk?.capacity ?? 0)
  switch (step.do) {
    case 'CreateDisk': {
      const from = disk?.image ? `a copy of ${disk.image.kind} ${disk.image.name}` : 'blank'
      return { action: 'CreateDisk', reason: 'DiskCreated', note: `disk ${step.disk} made, ${size}, ${from}: ${where}` }
    }
    case 'AttachDisk':
      return {
        action: 'AttachDisk',
        reason: 'DiskAttached',
        note: `disk ${step.disk} is given to the machine as it runs`,
      }
    case 'DetachDisk':
      // That its guest is asked again is no news.
      if (disk?.defined === false) return undefined
      return {
        action: 'DetachDisk',
        reason: 'DiskDetached',
        note: isRunning(view)
          ? `disk ${step.disk} is out of the definition, and the guest is asked to let it go`
          : `disk ${step.disk} is out of the definition`,
      }
    case 'GrowDisk':
      return { action: 'GrowDisk', reason: 'DiskGrown', note: `disk ${step.disk} made larger: ${size}` }
  }
}

function lineOfRetained({ changes }: Extract<DiskStep, { do: 'RecordDisks' }>, view: View): Line | undefined {
  const kept = changes.flatMap(({ disk, to }) => {
    const facts = to === 'Gone' ? factsOf(disk, view) : undefined
    return facts?.retained && facts.volume === 'There' ? [facts] : []
  })
  if (kept.length === 0) return undefined
  const volumes = kept.map(
    ({ name, volumeName, storagePool }) => `disk ${name}: volume ${volumeName} in storage pool ${storagePool}`,
  )
  const note = `kept on hypervisor ${view.desired.hypervisor}: ${volumes.join('; ')}`
  return { action: 'RetainDisk', reason: 'DiskRetained', note }
}

const factsOf = (name: string, { observed }: View): DiskFacts | undefined =>
  observed.disks?.find((disk) => disk.name === name)
