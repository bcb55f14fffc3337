import { alertRules, alertRulesYaml, grafanaDashboard } from 'millpond/prometheus'
import type { CommandModule } from '../command.ts'
import { EXIT, UsageError } from '../io.ts'

interface AlertsOptions {
  readonly dashboard?: true
  readonly prefix: string
  readonly names: string
  readonly json?: true
}

export const alerts: CommandModule = {
  add(program, io, done) {
    program
      .command('alerts')
      .description('print alert rules for Prometheus, or a dashboard for Grafana, made for Millpond’s metrics')
      .option('--dashboard', 'the Grafana dashboard instead, as JSON to import')
      .option('--prefix <prefix>', 'what your metrics begin with', 'millpond_')
      .option('--names <names>', 'native, or otel: as OpenTelemetry calls those of databases', 'native')
      .option('--json', 'the rules as JSON')
      .action(({ dashboard, prefix, names, json }: AlertsOptions) => {
        if (names !== 'native' && names !== 'otel') throw new UsageError(`--names takes native or otel, got "${names}"`)
        const options = { prefix, naming: names } as const
        if (dashboard === true) io.out(`${JSON.stringify(grafanaDashboard(options), null, 2)}\n`)
        else if (json === true) io.out(`${JSON.stringify(alertRules(options), null, 2)}\n`)
        else io.out(alertRulesYaml(options))
        done(EXIT.ok)
      })
  },
}
