/** What is done to an interface on its host, and what a refusal means. */
import { BerthError, type ErrorCode, isBerthError, toBerthError } from '../../errors/index.ts'
import type { Session } from '../../hypervisor/port.ts'
import type { InterfaceAttempts } from './interface-memory.ts'
import type { Observed, Step } from './model.ts'

type InterfaceStep = Extract<Step, { do: 'AttachInterface' | 'DetachInterface' }>

/** The host's last word: the machine runs on as it is, and the change waits. */
const refusals: ReadonlySet<ErrorCode> = new Set([
  'NotSupported',
  'HypervisorRefused',
  'ForeignObject',
  'NetworkNotFound',
  'InvalidConfiguration',
])

export const isRefusedChange = (step: Step, failure: BerthError): boolean =>
  (step.do === 'AttachInterface' || step.do === 'DetachInterface') && refusals.has(failure.code)

export interface InterfaceWorkplace {
  readonly instanceID: string
  readonly observed: Observed
  readonly attempts: InterfaceAttempts
  readonly now: number
  readonly signal: AbortSignal
}

export async function changeInterface(
  step: InterfaceStep,
  { instanceID, observed, attempts, now, signal }: InterfaceWorkplace,
  onHost: (work: (session: Session) => Promise<void>) => Promise<void>,
): Promise<void> {
  const { macAddress } = step
  const wanted = observed.interfaces?.find((one) => one.macAddress === macAddress)?.spec
  const attempt = { work: step.do, macAddress }
  try {
    await onHost((session) => {
      if (step.do === 'DetachInterface') return session.detachInterface(instanceID, macAddress, { signal })
      if (!wanted) throw new BerthError('InternalError', `nothing is known of interface ${step.name}`)
      return session.attachInterface(instanceID, wanted, { signal })
    })
    attempts.tried(instanceID, attempt, wanted, now)
  } catch (error) {
    if (isBerthError(error) && isRefusedChange(step, error)) {
      const { code, message } = toBerthError(error)
      attempts.tried(instanceID, { ...attempt, problem: { code, message } }, wanted, now)
    }
    throw error
  }
}
