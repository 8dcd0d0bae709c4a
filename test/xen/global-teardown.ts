import { running } from './global-setup.ts'

export default async function stop(): Promise<void> {
  await running.berthXen?.stop()
}
