// One HTML page of all results, with its style, its charts and its data inside: it opens offline, years from now.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../shared/config.ts';
import { chartsOf, type ChartSpec } from './report-charts.ts';
import type { StoredResult, StoredStage } from './results-files.ts';

export function renderReport(results: readonly StoredResult[]): string {
  const uplot = (name: string) => readFileSync(join(packageRoot, 'node_modules/uplot/dist', name), 'utf8');
  const charts: ChartSpec[] = [];
  const sections = results.map((result) => renderPart(result, charts)).join('\n');
  const [newest] = results.toSorted((a, b) => b.started_at.localeCompare(a.started_at));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Soma: benchmarks</title>
<style>${uplot('uPlot.min.css')}${style}</style>
</head>
<body>
<header>
<h1>Soma: benchmarks</h1>
<p>${newest === undefined ? 'No results yet.' : describeMachine(newest)}</p>
<nav>${results.map(({ part }) => `<a href="#${escape(part)}">${escape(part)}</a>`).join(' ')}</nav>
</header>
${sections}
<script type="application/json" id="charts">${JSON.stringify(charts).replaceAll('<', '\\u003c')}</script>
<script>${uplot('uPlot.iife.min.js')}</script>
<script>${script}</script>
</body>
</html>
`;
}

function describeMachine({ machine }: StoredResult): string {
  const { cpu, int8, cores, memoryGb, kernel, node } = machine;
  return escape(
    `${cpu}${int8 === undefined ? '' : ` (${int8})`}, ${cores} cores, ${memoryGb} GB, Linux ${kernel}, Node ${node}`,
  );
}

function renderPart(result: StoredResult, charts: ChartSpec[]): string {
  const { part, model, machine, commit, dirty, started_at: startedAt, load_before: load, settings } = result;
  const cache = settings?.['cache'];
  const facts = [
    startedAt.slice(0, 16).replace('T', ' '),
    `commit ${commit.slice(0, 7)}${dirty ? ' and changes' : ''}`,
    `load before ${load.toFixed(1)}`,
    ...(machine.int8 === undefined ? [] : [machine.int8]),
    ...(model === undefined ? [] : [`model ${model.kind}@${model.version}, ${model.digest.slice(0, 12)}`]),
    ...(result.seed === undefined ? [] : [`seed ${result.seed}`]),
    ...(typeof cache === 'string' ? [`cache: ${cache}`] : []),
  ];
  const own = chartsOf(result);
  const places = own.map((chart) => {
    charts.push(chart);
    return `<figure><figcaption>${escape(chart.title)}</figcaption><div class="chart" data-chart="${charts.length - 1}"></div></figure>`;
  });
  return `<section id="${escape(part)}">
<h2>${escape(part)}</h2>
<p class="facts">${escape(facts.join(' · '))}</p>
${renderFigures(result)}
${result.stages.length > 0 ? renderStages(result.stages) : ''}
<div class="charts">${places.join('')}</div>
${result.stages.map(renderScenarios).join('')}
</section>`;
}

function renderFigures({ figures }: StoredResult): string {
  const rows = figures.map(({ name, value, holds, bound, aim, met, aim_met: aimMet }) => [
    escape(name),
    formatValue(value),
    bound === undefined ? '' : escape(`${holds} ${bound}`),
    bound === undefined ? '' : met ? '<b class="met">met</b>' : '<b class="missed">missed</b>',
    aim === undefined ? '' : String(aim),
    aim === undefined ? '' : aimMet === true ? '<b class="met">reached</b>' : 'no',
  ]);
  return figures.length === 0 ? '' : table(['figure', 'measured', 'must be', '', 'aim', ''], rows);
}

export function formatValue(value: StoredResult['figures'][number]['value']): string {
  return typeof value === 'number' ? String(Number(value.toPrecision(5))) : String(value ?? 'failed');
}

function renderStages(stages: readonly StoredStage[]): string {
  const rows = stages.map((stage) => [
    escape(stage.name),
    String(stage.users),
    String(stage.offeredPerSecond),
    String(stage.resultMs.p50),
    String(stage.resultMs.p95),
    String(stage.resultMs.p99),
    String(stage.acceptMs.p95),
    String(stage.readMs.p95),
    `<span title="${escape(JSON.stringify(stage.reasons))}">${stage.errors}</span>`,
    String(stage.drainSeconds),
    String(stage.lagMs.p99),
    renderSplit(stage),
  ]);
  const head =
    'stage,users,requests/s,result p50 ms,p95,p99,accept p95,read p95,errors,drain s,generator late p99,where the time went';
  const legend = splitNames
    .map((name, index) => `<i class="s${index}"></i>${name.replace('_', ' ')}`)
    .join(' ');
  return `${table(head.split(','), rows)}<p class="legend">${legend}</p>`;
}

const splitNames = ['queue', 'batch_wait', 'tokenize', 'inference', 'persist', 'client'] as const;

/** The mean of each stage of a job's way as a bar. */
function renderSplit({ split }: StoredStage): string {
  const means = splitNames.map((name) => split[name]?.mean ?? 0);
  const total = means.reduce((sum, mean) => sum + mean, 0);
  const parts = means.map((mean, index) => {
    const width = total === 0 ? 0 : (100 * mean) / total;
    return `<i class="s${index}" style="width:${width.toFixed(1)}%" title="${splitNames[index]} ${mean} ms"></i>`;
  });
  return `<span class="bar">${parts.join('')}</span> ${total.toFixed(0)} ms`;
}

function renderScenarios({ name, scenarios, cores, machine, loopGapMs }: StoredStage): string {
  const rows = Object.entries(scenarios).map(([scenario, { count, p50, p95, p99, max, errors }]) => [
    escape(scenario),
    ...[count, p50, p95, p99, max, errors].map(String),
  ]);
  const list = (values: Readonly<Record<string, number>>) =>
    Object.entries(values)
      .map(([key, value]) => `${key} ${value}`)
      .join(', ');
  return `<details><summary>${escape(name)}: scenarios and processes</summary>
<p class="facts">Cores: ${escape(list(cores))}. Machine: ${escape(list(machine))}. Longest loop gap, ms: ${escape(list(loopGapMs))}.</p>
${table(['scenario', 'answers', 'p50 ms', 'p95', 'p99', 'max', 'errors'], rows)}</details>`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[], tag: string) =>
    `<tr>${cells.map((cell) => `<${tag}>${cell}</${tag}>`).join('')}</tr>`;
  return `<div class="wide"><table><thead>${line(head, 'th')}</thead><tbody>${rows.map((row) => line(row, 'td')).join('')}</tbody></table></div>`;
}

function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

const style = `
body{font:15px/1.5 system-ui,sans-serif;color:#1f2328;background:#fff;margin:0 auto;max-width:1240px;padding:24px}
h1{font-size:26px;margin:0}h2{font-size:20px;margin:40px 0 4px;border-top:1px solid #d0d7de;padding-top:20px}
nav a{margin-right:12px;color:#0969da;text-decoration:none}.facts{color:#59636e;font-size:13px;margin:4px 0 12px}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:13px;margin:8px 0;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:4px 7px;border-bottom:1px solid #eaeef2;white-space:nowrap}
th:first-child,td:first-child{text-align:left}th{color:#59636e;font-weight:600}
.met{color:#1a7f37}.missed{color:#cf222e}.charts{display:flex;flex-wrap:wrap;gap:16px}
figure{margin:8px 0}figcaption{font-weight:600;font-size:13px}details{margin:6px 0}summary{cursor:pointer;font-size:13px}
.bar{display:inline-flex;width:110px;height:12px;vertical-align:middle;background:#eaeef2}.bar i{height:12px}
.legend{font-size:12px;color:#59636e}.legend i{display:inline-block;width:10px;height:10px;margin:0 4px 0 10px}
.s0{background:#0969da}.s1{background:#54aeff}.s2{background:#d4a72c}.s3{background:#bc4c00}.s4{background:#2da44e}.s5{background:#8c959f}
`;

/** Runs in the page. */
const script = `
for (const place of document.querySelectorAll('.chart')) {
  const chart = JSON.parse(document.getElementById('charts').textContent)[place.dataset.chart];
  new uPlot({
    width: 560, height: 260,
    scales: { x: { time: false }, y: { distr: chart.logarithmic ? 3 : 1 } },
    axes: [{ label: chart.x }, { label: chart.y, size: 62 }],
    series: [{ label: chart.x }, ...chart.series.map(({ label, stroke, points }) => ({
      label, stroke, width: 2, spanGaps: true, points: { show: points },
    }))],
  }, chart.data, place);
}
`;
