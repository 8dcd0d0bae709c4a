import { expect, test } from '@jest/globals'
import { inChart, templateOf } from './chart.ts'

test('what looks like a template in a description is text, not a command to Helm', () => {
  expect(templateOf('description: as {{ .Values.x }} or {{{\n')).toBe(
    '{{- if .Values.crds.install }}\ndescription: as {{ "{{" }} .Values.x }} or {{ "{{" }}{\n{{- end }}\n',
  )
})

test('a definition is kept when the chart is uninstalled, and is else as it was', () => {
  const definition = { apiVersion: 'apiextensions.k8s.io/v1', metadata: { name: 'slots.berth.dev' }, spec: { a: 1 } }
  const { metadata, ...rest } = inChart(definition)
  expect(metadata.name).toBe('slots.berth.dev')
  expect(metadata.annotations).toEqual({ 'helm.sh/resource-policy': 'keep' })
  expect({ ...rest, metadata: { name: metadata.name } }).toEqual(definition)
})
