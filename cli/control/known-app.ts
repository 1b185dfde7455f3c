// Refuses an app that control does not know, with the command that registers it.

import { Failure } from '../basics/failure.ts'
import type { Control } from './control.ts'

/** Before the work of packing, which also shows a control that is down and a token that is not taken. */
export async function refuseUnknownApp(control: Control, app: string): Promise<void> {
  try {
    await control.findApp(app)
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'unknown_app') throw error
    throw new Failure(error.kind, `control has no app ${app}`, {
      cause: error,
      code: error.code,
      requestId: error.requestId,
      next: `register it once: aether apps create ${app} --key aether-signing.pub.pem`,
    })
  }
}
