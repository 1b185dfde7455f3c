// PATCH of the annotations -> first new answer: our pod against the loop it replaces, in turns on one cluster.
import { formatRows } from '@aether/e2e/kit/report'
import { type Say, type Scenario, withScenario } from '@aether/e2e/kit/scenario'
import type { BenchOptions } from '../bench.ts'
import { fastifyPeer, listContestants, peer } from './contestants.ts'
import { type Entrant, enter } from './measure.ts'
import { benchRows, type Summary, summarise, tableRow } from './summary.ts'

/** Of the table's rows, those that the JSON holds. */
const compared = [
  'hello',
  'hello service',
  'hello file',
  'hello no-drain',
  'fastify',
  'fastify service',
  'fastify cached',
  'fastify cached service',
]

export async function benchAnnotate(options: BenchOptions): Promise<void> {
  const { say, isJson } = options
  const contestants = listContestants(options)
  const names = contestants.map(({ name }) => `bench ${name}`)
  const summaries = await withScenarios(names, say, async (scenarios) => {
    const entrants: Entrant[] = []
    for (const [at, contestant] of contestants.entries()) {
      const scenario = scenarios[at]
      if (scenario !== undefined) entrants.push(await enter(contestant, scenario))
      say(`${contestant.name} is ready`)
    }
    await takeTurns(entrants, say)
    return entrants.flatMap(({ contestant: { name }, changes }) => [
      summarise(
        name,
        changes.map(({ pod }) => pod),
      ),
      summarise(
        `${name} service`,
        changes.map(({ service }) => service),
      ),
    ])
  })
  const table = formatRows(summaries.map(tableRow))
  if (isJson) for (const line of table) say(line)
  else console.log(table.join('\n'))
  if (isJson) console.log(JSON.stringify({ name: 'annotate', rows: rowsOf(summaries) }))
}

/** In turns, spread evenly over the whole run, so that whatever the machine does meets all of them. */
async function takeTurns(entrants: readonly Entrant[], say: Say): Promise<void> {
  const rounds = Math.max(...entrants.map(({ contestant }) => contestant.changes))
  for (let round = 1; round <= rounds; round++) {
    const said: string[] = []
    for (const { contestant, changes, change } of entrants) {
      if (changes.length >= Math.floor((contestant.changes * round) / rounds)) continue
      await change()
      said.push(`${contestant.name} ${changes.at(-1)?.pod.firstNewMs?.toFixed()}`)
    }
    say(`round ${round} of ${rounds}, ms: ${said.join(', ')}`)
  }
}

function rowsOf(summaries: readonly Summary[]) {
  const find = (name: string) => {
    const found = summaries.find((one) => one.name === name)
    if (found === undefined) throw new Error(`nothing was measured for ${name}`)
    return found
  }
  return compared.flatMap((name) => {
    const loop = name.startsWith('fastify') ? fastifyPeer : peer
    return benchRows(find(name), find(name.endsWith(' service') ? `${loop} service` : loop))
  })
}

/** Opens a scenario for each name; all of them live until `body` ends. */
async function withScenarios<T>(
  names: readonly string[],
  say: Say,
  body: (scenarios: readonly Scenario[]) => Promise<T>,
  open: readonly Scenario[] = [],
): Promise<T> {
  const [name, ...others] = names
  if (name === undefined) return body(open)
  return withScenario(name, say, (scenario) => withScenarios(others, say, body, [...open, scenario]))
}
