/** Whether hypervisors and slots take machines: spec.scheduling. */
interface Schedulable {
  readonly kind: string
  readonly metadata: { readonly name: string }
  readonly spec: { readonly scheduling?: 'Open' | 'Cordoned' | 'Draining' }
}

/** Why none is taken, and whose choice it is. */
export interface Closed {
  readonly scheduling: 'Cordoned' | 'Draining'
  /** Kind and name. */
  readonly by: string
}

export const takesMachines = ({ spec: { scheduling = 'Open' } }: Pick<Schedulable, 'spec'>): boolean =>
  scheduling === 'Open'

/** The slot's own choice or that of its hypervisor: Draining before Cordoned, and the slot's before the hypervisor's. */
export function closedBy(slot: Schedulable, hypervisor: Schedulable | undefined): Closed | undefined {
  const closed = [slot, hypervisor].flatMap((object): Closed[] => {
    const { scheduling = 'Open' } = object?.spec ?? {}
    return object === undefined || scheduling === 'Open'
      ? []
      : [{ scheduling, by: `${object.kind} ${object.metadata.name}` }]
  })
  return closed.find(({ scheduling }) => scheduling === 'Draining') ?? closed[0]
}
