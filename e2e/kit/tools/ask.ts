// One request: over a connection of its own, or over one that an agent keeps.
import { type Agent, request } from 'node:http'
import type { Address, Answer, FailureKind } from './protocol.ts'

const longestMs = 3000

/** Never rejects: what went wrong is part of the answer. */
export function ask({ host, port, path }: Address, agent: Agent | false = false): Promise<Answer> {
  return new Promise((resolve) => {
    const failed = (error: FailureKind) => resolve({ status: 0, body: '', error })
    const asked = request({ host, port, path, agent, timeout: longestMs }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (piece: string) => {
        body += piece
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body, error: null }))
      response.on('error', () => failed('truncated'))
      response.on('close', () => failed('truncated')) // after `end` it changes nothing
    })
    asked.on('timeout', () => {
      failed('timeout')
      asked.destroy()
    })
    asked.on('error', (error) => failed(kindOf(error)))
    asked.end()
  })
}

function kindOf(error: Error): FailureKind {
  const code = 'code' in error ? error.code : undefined
  if (code === 'ECONNREFUSED') return 'refused'
  return code === 'ECONNRESET' || code === 'EPIPE' ? 'reset' : 'other'
}
