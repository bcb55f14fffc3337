import { alertRules, alertRulesYaml, grafanaDashboard } from 'millpond/prometheus'
import type { CommandModule } from '../command.ts'
import { EXIT } from '../io.ts'

export const alerts: CommandModule = {
  add(program, io, done) {
    program
      .command('alerts')
      .description('print alert rules for Prometheus, or a dashboard for Grafana, made for Millpond’s metrics')
      .option('--dashboard', 'the Grafana dashboard instead, as JSON to import')
      .option('--prefix <prefix>', 'what your metrics begin with', 'millpond_')
      .option('--json', 'the rules as JSON')
      .action(({ dashboard, prefix, json }: { dashboard?: true; prefix: string; json?: true }) => {
        if (dashboard === true) io.out(`${JSON.stringify(grafanaDashboard({ prefix }), null, 2)}\n`)
        else if (json === true) io.out(`${JSON.stringify(alertRules({ prefix }), null, 2)}\n`)
        else io.out(alertRulesYaml({ prefix }))
        done(EXIT.ok)
      })
  },
}
