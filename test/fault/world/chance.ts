import { Random } from '../../../controller/drivers/fake/random.ts'

/** Makes Math.random the same in every run: jitter is the one thing in the controller that is left to chance. */
export function seedChance(seed: number): void {
  const random = new Random(seed)
  Math.random = () => random.next()
}
