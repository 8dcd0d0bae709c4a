/** docs/errors.md: each code of the error table under a heading of its own, so that it can be linked to. */
import { type Actor, type ErrorClass, type ErrorCode, errorTable } from '../../controller/errors/table.ts'

/** Path of the page, below the root of the checkout. */
export const errorsPagePath = 'docs/errors.md'

const classes: Readonly<Record<ErrorClass, string>> = {
  Terminal:
    'Somebody must act; the object is `Stalled`. What no watch would tell is looked at again every few minutes.',
  Waiting: 'Goes on by itself when what it waits for is there; the object is `Reconciling`.',
  Transient: 'Tried again by itself, with growing pauses; the object is `Reconciling`.',
  Conflict: 'Somebody else wrote first. Read and decided again at once, and told nowhere.',
  Ambiguous: 'The effect of a call is not known. The host is looked at before anything is done again.',
}

const actors: Readonly<Record<Actor, string>> = {
  Owner: 'who wrote the object',
  Administrator: 'who runs the hosts, or Berth',
  Nobody: 'nobody: it passes',
}

const introduction = `<!-- Generated from controller/errors/table.ts by \`npm run generate\`. Do not edit. -->

# Errors

One word means the same everywhere: as the reason of a condition, the reason of an Event, and the label \`reason\` or \`outcome\` of a [metric](metrics.md). The message beside it says what is wrong this time, and names the field where one is to be changed:

\`\`\`sh
kubectl get bvm web -o wide                 # the column MESSAGE
kubectl describe bvm web                    # conditions and Events
kubectl events --for virtualmachine.berth.dev/web
\`\`\`

Reasons that are no errors (\`Running\`, \`Creating\`, \`Cordoned\` …) are on the pages of the [kinds](README.md#the-kinds). The class of a code decides what Berth does next:
`

const codes = (Object.keys(errorTable) as ErrorCode[]).toSorted()

const section = (code: ErrorCode): string => {
  const { class: errorClass, actor, meaning } = errorTable[code]
  return `### ${code}\n\n${errorClass}; acts: ${actors[actor]}.\n\n${meaning}\n`
}

/** The whole page. The same table gives the same bytes. */
export function errorsPage(): string {
  const classRows = Object.entries(classes).map(([name, text]) => `| ${name} | ${text} |`)
  return [
    introduction,
    ['| class | what happens |', '|---|---|', ...classRows, ''].join('\n'),
    '## Codes\n',
    ...codes.map(section),
  ].join('\n')
}
