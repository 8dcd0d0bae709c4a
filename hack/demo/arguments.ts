import { parseArgs } from 'node:util'

export interface DemoArguments {
  readonly keep: boolean
  readonly context: string | undefined
  readonly help: boolean
}

export const usage = `npm run demo [-- OPTIONS]: from kubectl apply to a running virtual machine, on this machine

  --keep           leave everything running at the end, until Ctrl-C, with a kubeconfig to use
  --context NAME   use that context of your kubeconfig instead of starting a control plane
                   (custom resource definitions, the namespace berth-system and berth-demo objects are made there)
  --yes            install what is missing without asking`

/** Throws an Error with what is wrong. */
export function parseDemoArguments(argv: readonly string[]): DemoArguments {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      keep: { type: 'boolean', default: false },
      context: { type: 'string' },
      yes: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  return { keep: values.keep, context: values.context, help: values.help }
}
