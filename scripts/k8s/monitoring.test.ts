// The alerts and the dashboard: promtool takes the rules and each alert fires where it must; every name is a metric of ours.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isObject } from '@aether/contract/json'
import { type MetricSpec, metrics } from '@aether/contract/metric-names'
import { execaSync } from 'execa'
import { test } from 'tap'
import { parse } from 'yaml'
import { at, isOnPath, listAt, manifests, parseObjects } from './objects.ts'

const folder = join(manifests, 'monitoring')
const read = (name: string) => readFileSync(join(folder, name), 'utf8')
const rules: unknown = parse(read('rules.yaml'))
const allRules = listAt(rules, 'groups').flatMap((group) => listAt(group, 'rules'))
const alerts = allRules.flatMap((rule) => at(rule, 'alert') ?? []).map(String)
const ours: readonly MetricSpec[] = Object.values(metrics)

/** What Prometheus puts on each series. */
const scraped = ['namespace', 'pod', 'instance', 'job']
const words = new Set(['histogram_quantile', 'label_values', 'group_left', '__rate_interval'])

const promtool = isOnPath('promtool', '--version')
  ? {}
  : { skip: 'promtool is not on PATH: apt-get install prometheus' }

await test('promtool takes the rules, and their unit tests hold', promtool, (t) => {
  for (const args of [
    ['check', 'rules', '--lint=all', '--lint-fatal', 'rules.yaml'],
    ['test', 'rules', 'rules.test.yaml'],
  ]) {
    const { exitCode, all } = execaSync('promtool', args, { cwd: folder, reject: false, all: true })
    t.equal(exitCode, 0, `promtool ${args.join(' ')}: ${all}`)
  }
  t.end()
})

await test('promtool reads every expression of the dashboard', promtool, (t) => {
  const expressions = shownBy(readDashboard())
  // As recording rules, with values for what Grafana puts in.
  const rulesOf = expressions.map((expr, index) => ({
    record: `panel:${index}`,
    expr: expr.replaceAll('$__rate_interval', '5m').replaceAll(/\$(namespace|app)/g, 'x'),
  }))
  const path = join(t.testdir({}), 'rules.yaml')
  writeFileSync(path, JSON.stringify({ groups: [{ name: 'panels', rules: rulesOf }] })) // JSON is YAML
  const { exitCode, all } = execaSync('promtool', ['check', 'rules', path], { reject: false, all: true })
  t.equal(exitCode, 0, all)
  t.match(all, `${expressions.length} rules found`)
  t.end()
})

await test('each alert has a unit test in which it fires, and says what to do', (t) => {
  t.ok(alerts.length >= 13, alerts.join(', '))
  const cases = listAt(parse(read('rules.test.yaml')), 'tests').flatMap((one) => listAt(one, 'alert_rule_test'))
  const page = readFileSync(fileURLToPath(new URL('../../docs/operations.md', import.meta.url)), 'utf8')
  for (const alert of alerts) {
    const fires = cases.some((one) => at(one, 'alertname') === alert && listAt(one, 'exp_alerts').length > 0)
    t.ok(fires, `${alert}: a case in which it fires`)
    t.ok(page.includes(`| \`${alert}\` |`), `${alert}: a row in docs/operations.md`)
  }
  t.end()
})

await test("the operator's object and the chart hold the same rules", (t) => {
  const [object] = parseObjects(read('prometheus-rule.yaml'))
  t.same(at(object?.whole, 'spec'), rules)
  const inChart = (name: string) => readFileSync(join(manifests, 'chart/control/monitoring', name), 'utf8')
  for (const name of ['rules.yaml', 'dashboard.json']) t.equal(inChart(name), read(name), name)
  t.end()
})

await test('every name in rules and dashboard is a metric that there is, with its labels, and the dashboard shows all', (t) => {
  const dashboard = readDashboard()
  const panels = listAt(dashboard, 'panels')
  const shown = shownBy(dashboard)
  const asked = listAt(dashboard, 'templating', 'list').map((one) => String(at(one, 'query', 'query')))
  const ruled = allRules.map((rule) => String(at(rule, 'expr')))
  const recorded = allRules.flatMap((rule) => at(rule, 'record') ?? []).map(String)
  t.ok(shown.length > 20 && ruled.length > 15)
  for (const expression of [...shown, ...asked, ...ruled])
    for (const [, name = '', matchers = ''] of expression.matchAll(
      /\b([a-z]\w*_[a-z:_\d]+|aether:[\w:]+)(?:\{([^}]*)\})?/g,
    )) {
      if (words.has(name) || recorded.includes(name)) continue
      const spec = specOf(name)
      t.ok(spec, `${name} in ${expression}`)
      for (const [, label = ''] of matchers.matchAll(/(\w+) *(?:=~|!~|!=|=)/g))
        t.ok([...(spec?.labels ?? []), ...scraped].includes(label), `${name}{${label}}`)
    }
  for (const { name } of ours)
    t.ok(
      shown.some((expression) => expression.includes(name)),
      `the dashboard shows ${name}`,
    )
  const ids = panels.map((panel) => at(panel, 'id'))
  t.equal(new Set(ids).size, ids.length, 'each panel has an id of its own')
  t.ok(panels.every((panel) => isObject(at(panel, 'gridPos'))))
  t.end()
})

function readDashboard(): unknown {
  return JSON.parse(read('dashboard.json'))
}

function shownBy(dashboard: unknown): readonly string[] {
  return listAt(dashboard, 'panels').flatMap((panel) =>
    listAt(panel, 'targets').map((target) => String(at(target, 'expr'))),
  )
}

/** Of a metric, or of a series of a histogram. */
function specOf(name: string): MetricSpec | undefined {
  const process: MetricSpec = { name: 'process_resident_memory_bytes', help: '', labels: [] }
  return [...ours, process].find((one) => [one.name, `${one.name}_bucket`, `${one.name}_count`].includes(name))
}
