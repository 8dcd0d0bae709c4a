import { object, text } from './base.ts'
import { name } from './names.ts'

export const secretRef = (description: string) =>
  object({ name: name('Name of the Secret.', { max: 253 }) }, description)

export const secretKeyRef = (description: string) =>
  object(
    {
      name: name('Name of the Secret.', { max: 253 }),
      key: text('Key in the Secret.', { min: 1, max: 253 }),
    },
    description,
  )
