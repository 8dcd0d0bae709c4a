/** How the control plane of a whole Jest run is handed from its global set-up to the test files. */

export interface SharedControlPlane {
  readonly directory: string
  readonly url: string
  readonly kubeconfig: string
  readonly kubectl: string
  readonly helm: string
}

/** An environment variable, because it reaches Jest's workers as well as a run in one process. */
const variable = 'BERTH_TEST_CONTROL_PLANE'

export function publishSharedControlPlane(shared: SharedControlPlane): void {
  process.env[variable] = JSON.stringify(shared)
}

export function withdrawSharedControlPlane(): void {
  delete process.env[variable]
}

export function sharedControlPlane(): SharedControlPlane {
  const text = process.env[variable]
  if (text === undefined) throw new Error('no control plane: this test belongs to the Jest project real')
  return JSON.parse(text) as SharedControlPlane
}
