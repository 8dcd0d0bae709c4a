/** What the API server in memory refuses with; the transport makes of it what it makes of a real one's answer. */
import { StatusError } from '../../../controller/kube/status.ts'

export const conflict = (message: string) => new StatusError(409, 'Conflict', message)
export const notFound = (message: string) => new StatusError(404, 'NotFound', message)
