import { spawn } from 'node:child_process'
import type { ControlPlane } from '../../../hack/control-plane/index.ts'

export interface Answer {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export type Kubectl = (args: readonly string[], input?: unknown) => Promise<Answer>

/** kubectl as a person uses it, as the administrator of `plane`. `input` goes to its standard input, as JSON. */
export const kubectlOf =
  ({ kubectl, kubeconfig, directory }: ControlPlane): Kubectl =>
  (args, input) =>
    new Promise((resolve, reject) => {
      const child = spawn(kubectl, [...args], {
        env: { PATH: '', HOME: directory, KUBECONFIG: kubeconfig },
        stdio: ['pipe', 'pipe', 'pipe'],
      })
      let [stdout, stderr] = ['', '']
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        stdout += text
      })
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        stderr += text
      })
      child.on('error', reject)
      child.on('close', (code) => resolve({ code: code ?? -1, stdout, stderr }))
      child.stdin.on('error', () => {})
      child.stdin.end(input === undefined ? '' : JSON.stringify(input))
    })

/** The answer's output, where the command must succeed. */
export async function succeeds(answer: Promise<Answer>): Promise<string> {
  const { code, stdout, stderr } = await answer
  if (code !== 0) throw new Error(`kubectl failed (${code}): ${stderr}`)
  return stdout
}

/** The complaint, where the command must fail. */
export async function fails(answer: Promise<Answer>): Promise<string> {
  const { code, stdout, stderr } = await answer
  if (code === 0) throw new Error(`kubectl should have failed, but said: ${stdout}`)
  return stderr
}
