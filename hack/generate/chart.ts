/** The chart's templates of the resource definitions. */

/** Where Helm looks for them; everything in it is generated. */
export const chartFolder = 'helm/berth/templates/crds'

/** Helm does not delete what carries it: with a definition, all of its objects would go. */
const keep = { 'helm.sh/resource-policy': 'keep' }

interface Definition {
  readonly metadata: { readonly name: string }
}

/** The definition as Helm is to install it; everything but its metadata is as in crds/. */
export const inChart = <T extends Definition>(definition: T) => ({
  ...definition,
  metadata: { ...definition.metadata, labels: { 'app.kubernetes.io/name': 'berth' }, annotations: keep },
})

/** YAML as a template that renders to it, unless the administrator brings the definitions in some other way. */
export const templateOf = (yaml: string): string => `{{- if .Values.crds.install }}\n${escaped(yaml)}{{- end }}\n`

/** Text that is a template's own syntax, as an expression that gives that text. What closes one means nothing alone. */
const escaped = (text: string): string => text.replaceAll('{{', '{{ "{{" }}')
