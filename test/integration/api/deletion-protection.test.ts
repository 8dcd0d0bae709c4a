/** spec.deletionProtection on a real API server, with nothing of Berth running: the policy alone decides. */
import { describe, expect, test } from '@jest/globals'
import { until } from '../../../hack/lab/wait.ts'
import { kubectlWithInput } from '../../support/kubectl.ts'
import { useControlPlane } from '../../support/use-control-plane.ts'
import { changed, least } from './manifests.ts'

const shared = useControlPlane()
const run = (...args: string[]) => shared.kubectlRun(...args)
const kinds = { VirtualMachine: 'virtualmachines.berth.dev' } as const
const here = ['--namespace', shared.namespace] as const

const machine = (name: string, changes: Record<string, unknown> = {}, namespace = shared.namespace) =>
  changed(least.VirtualMachine, { 'metadata.name': name, 'metadata.namespace': namespace, ...changes })
const create = (...args: Parameters<typeof machine>) =>
  kubectlWithInput(shared, JSON.stringify(machine(...args)), 'create', '--filename=-')
const protectedOne = { 'spec.deletionProtection': 'Enabled' }
const names = async (namespace = shared.namespace) =>
  run('get', kinds.VirtualMachine, '--namespace', namespace, '-o', 'name')

/** A policy takes effect a moment after it was made. */
async function inForce(name: string): Promise<void> {
  await until('the policy is in force', () =>
    run('delete', kinds.VirtualMachine, name, '--dry-run=server', ...here).then(
      () => false,
      (error: Error) => error.message.includes('deletionProtection'),
    ),
  )
}

describe('a machine that is protected', () => {
  test('is not deleted, by whatever way; the message says what to do, and that does it', async () => {
    await create('kept', protectedOne)
    await inForce('kept')
    const ways = [
      ['delete', kinds.VirtualMachine, 'kept'],
      ['delete', kinds.VirtualMachine, 'kept', '--force', '--grace-period=0'],
      ['delete', kinds.VirtualMachine, 'kept', '--cascade=orphan'],
      ['delete', kinds.VirtualMachine, '--all'],
    ]
    for (const way of ways) {
      const refused = await run(...way, ...here).catch((error: Error) => error.message)
      expect(refused).toContain('Forbidden')
      expect(refused).toContain(
        `spec.deletionProtection is Enabled, so this machine is not deleted: set it to Disabled first (kubectl patch bvm NAME --type=merge --patch '{"spec":{"deletionProtection":"Disabled"}}')`,
      )
    }
    expect(await names()).toContain('/kept')
    await run('patch', 'bvm', 'kept', '--type=merge', '--patch', '{"spec":{"deletionProtection":"Disabled"}}', ...here)
    await run('delete', kinds.VirtualMachine, 'kept', ...here)
    expect(await names()).not.toContain('/kept')
  })

  test('keeps none of its neighbours from being deleted', async () => {
    await create('protected', protectedOne)
    await inForce('protected')
    await create('plain')
    await create('switched-off', { 'spec.deletionProtection': 'Disabled' })
    await run('delete', kinds.VirtualMachine, 'plain', 'switched-off', ...here)
    expect((await names()).trim()).toBe('virtualmachine.berth.dev/protected')
  })

  test('can be changed otherwise', async () => {
    await create('edited', protectedOne)
    await run('patch', 'bvm', 'edited', '--type=merge', '--patch', '{"spec":{"powerState":"Stopped"}}', ...here)
    await run(
      'patch',
      'bvm',
      'edited',
      '--type=merge',
      '--patch',
      '{"metadata":{"finalizers":["example.org/a"]}}',
      ...here,
    )
    await run('patch', 'bvm', 'edited', '--type=merge', '--patch', '{"metadata":{"finalizers":null}}', ...here)
  })

  test('goes with its namespace: that can end', async () => {
    const doomed = `${shared.namespace}-doomed`
    await create('canary', protectedOne)
    await inForce('canary')
    await run('create', 'namespace', doomed)
    await create('inside', protectedOne, doomed)
    await run('delete', 'namespace', doomed, '--timeout=60s')
    expect(await names(doomed)).toBe('')
  })

  test('goes with the object that owns it', async () => {
    await create('witness', protectedOne)
    await inForce('witness')
    await run('create', 'configmap', 'owner', ...here)
    const uid = await run('get', 'configmap', 'owner', '-o', 'jsonpath={.metadata.uid}', ...here)
    const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid }
    await create('owned', { ...protectedOne, 'metadata.ownerReferences': [owner] })
    await run('delete', 'configmap', 'owner', ...here)
    await until('what it owned is gone', async () => !(await names()).includes('/owned'))
    expect(await names()).toContain('/witness')
  })
})
