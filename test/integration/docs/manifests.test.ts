/** Manifests that the documentation prints are ones that the API server takes, once placeholders have values. */
import { expect, test } from '@jest/globals'
import { parseAllDocuments } from 'yaml'
import { markdownFiles, read } from '../../../hack/docs/markdown.ts'
import { kubectlWithInput } from '../../support/kubectl.ts'
import { useControlPlane } from '../../support/use-control-plane.ts'

const plane = useControlPlane()

/** What a reader puts in the place of dots. */
const filledIn = (yaml: string): string =>
  yaml
    .replace(/(sha256|sha512):(\.{3}|…)/g, `sha256:${'0'.repeat(64)}`)
    .replace(/ssh-ed25519 AAAA(\.{3}|…)/g, `ssh-ed25519 ${'A'.repeat(68)}`)

const printed = markdownFiles().flatMap((file) =>
  [...read(file).matchAll(/^```yaml\n([\s\S]*?)^```/gm)]
    .map(([, yaml = '']) => yaml)
    .filter((yaml) => yaml.includes('apiVersion: berth.dev/'))
    .map((yaml, index) => [`${file} (${index + 1})`, filledIn(yaml)] as const),
)

test('there are manifests to be looked at', () => {
  expect(printed.length).toBeGreaterThan(10)
})

test.each(printed)('%s', async (_, yaml) => {
  // Named namespaces of examples are not there.
  const objects = parseAllDocuments(yaml).map((document) => {
    document.deleteIn(['metadata', 'namespace'])
    return String(document)
  })
  const args = [`--namespace=${plane.namespace}`, 'create', '--dry-run=server', '--validate=strict', '--filename=-']
  const said = await kubectlWithInput(plane, objects.join('---\n'), ...args)
  expect(said.match(/created \(server dry run\)/g)).toHaveLength(objects.length)
})
