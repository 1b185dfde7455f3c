// Who may do what, all of it: one row an operation of the API. An operation without a row does not start.
import { type Role, roles } from '@aether/contract/control-api'
import type { Principal } from '../domain/model.ts'

type Caller = Role | 'agent'

const makers = ['admin', 'deployer'] as const
const uploaders = [...makers, 'uploader'] as const

const table = {
  createApp: makers,
  listApps: roles,
  getApp: roles,
  addPublicKey: ['admin'],
  listPublicKeys: roles,
  uploadArtifact: uploaders,
  findLackingObjects: uploaders,
  uploadObjects: uploaders,
  registerTree: uploaders,
  listArtifacts: roles,
  headArtifact: [...roles, 'agent'],
  getArtifact: [...roles, 'agent'],
  getTreePack: [...roles, 'agent'],
  getTreeIndex: [...roles, 'agent'],
  getTreeDelta: [...roles, 'agent'],
  getArtifactMeta: roles,
  createDeployment: makers,
  listDeployments: roles,
  getDeployment: roles,
  changeDeployment: makers,
  rollbackDeployment: makers,
  stopDeployment: makers,
  getOwnTarget: ['agent'],
  putOwnOutcome: ['agent'],
  getHealth: 'open',
  getReadiness: 'open',
  getStartup: 'open',
  getMetrics: 'open',
} as const satisfies Record<string, readonly Caller[] | 'open'>

export type Operation = keyof typeof table
export const operations: Readonly<Record<Operation, readonly Caller[] | 'open'>> = table

export function isOperation(name: string): name is Operation {
  return Object.hasOwn(table, name)
}

export function isOpen(operation: Operation): boolean {
  return operations[operation] === 'open'
}

export function mayDo(principal: Principal, operation: Operation): boolean {
  const callers = operations[operation]
  return callers === 'open' || callers.includes(callerOf(principal))
}

export function callerOf(principal: Principal): Caller {
  return principal.kind === 'user' ? principal.role : 'agent'
}
