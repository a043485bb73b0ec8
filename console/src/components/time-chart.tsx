// Lines over time. The legend gives the present values, or those under the pointer, which all charts of a page share.
import 'uplot/dist/uPlot.min.css';
import { useComputedColorScheme } from '@mantine/core';
import { useEffect, useMemo, useRef, useState } from 'react';
import type UPlot from 'uplot';
import { cssColor } from '../lib/css-color';
import * as words from '../lib/format';
import css from './time-chart.module.css';
import { Panel } from './ui';

export interface Line {
  name: string;
  color: '--series-1' | '--series-2' | '--series-3' | '--series-4';
  values: (number | null)[]; // null: not measured
}

interface Props {
  title: string;
  times: number[]; // ms, ascending
  lines: Line[];
  format: (value: number) => string;
  fromMs: number;
  untilMs: number;
  loading?: boolean;
  binary?: boolean; // bytes: round figures are powers of two
}

const height = 180;
const axisFont = '11px "Inter Variable", sans-serif';

// The newest value; null when it is missing, however many there were before.
export function lastOf(values: readonly (number | null)[]): number | null {
  return values.at(-1) ?? null;
}

export function TimeChart(props: Props) {
  const { title, times, lines, format } = props;
  const [hover, setHover] = useState<number | null>(null);
  const measured = lines.some((line) => line.values.some((value) => value !== null));
  const shown = lines.map((line) => ({ ...line, value: hover === null ? lastOf(line.values) : (line.values[hover] ?? null) }));
  const text = (value: number | null) => (value === null ? '–' : format(value));
  const at = hover === null ? undefined : times[hover];
  const now = lines.map((line) => `${line.name} ${text(lastOf(line.values))}`).join(', ');
  return (
    <Panel title={title} side={<span className={`dim small num ${css.at}`}>{at === undefined ? '' : words.dateTime(at)}</span>}>
      <ul className={css.legend}>
        {shown.map((line) => (
          <li key={line.name}>
            <span className={css.swatch} data-color={line.color} />
            <span className="dim">{line.name}</span>
            <span className="num">{text(line.value)}</span>
          </li>
        ))}
      </ul>
      {measured ? (
        <Plot {...props} label={`${title} over time. Now: ${now}`} onHover={setHover} />
      ) : (
        <div className={css.nothing} style={{ height }}>
          {props.loading ? '' : 'Nothing was measured in this time.'}
        </div>
      )}
    </Panel>
  );
}

type Data = UPlot.AlignedData;

function Plot(props: Props & { label: string; onHover: (index: number | null) => void }) {
  const { times, lines, format, fromMs, untilMs, binary, label, onHover } = props;
  const scheme = useComputedColorScheme('light');
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot | null>(null);
  const data = useMemo<Data>(() => [times.map((time) => time / 1000), ...lines.map((line) => line.values)], [times, lines]);
  const scale = useMemo(() => ({ min: fromMs / 1000, max: untilMs / 1000 }), [fromMs, untilMs]);
  const latest = useRef({ data, scale });
  useEffect(() => {
    latest.current = { data, scale };
    plot.current?.batch(() => {
      plot.current?.setData(data, false);
      plot.current?.setScale('x', scale);
    });
  }, [data, scale]);

  const names = lines.map((line) => `${line.name}\n${line.color}`).join('\n\n');
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    let gone = false;
    let made: UPlot | null = null;
    const watch = new ResizeObserver(() => made?.setSize({ width: element.clientWidth, height }));
    void import('uplot').then(({ default: Maker }) => {
      if (gone) return;
      const options = optionsOf(Maker, { names, format, binary, width: element.clientWidth, onHover });
      made = new Maker(options, latest.current.data, element);
      made.setScale('x', latest.current.scale);
      plot.current = made;
      watch.observe(element);
    });
    return () => {
      gone = true;
      watch.disconnect();
      made?.destroy();
      plot.current = null;
    };
  }, [names, format, binary, onHover, scheme]);
  return <div ref={box} className={css.plot} style={{ height }} role="img" aria-label={label} />;
}

const binarySteps = Array.from({ length: 50 }, (_, power) => 2 ** power);

interface Look {
  names: string;
  format: (value: number) => string;
  binary?: boolean;
  width: number;
  onHover: (index: number | null) => void;
}

function optionsOf(Maker: typeof UPlot, { names, format, binary, width, onHover }: Look): UPlot.Options {
  const ink = cssColor('--ink-2');
  const line = { stroke: cssColor('--line'), width: 1 };
  return {
    width,
    height,
    padding: [10, 28, 0, 0], // on the right half a time
    legend: { show: false },
    cursor: { sync: { key: 'times', setSeries: false }, drag: { x: false, y: false }, y: false, points: { size: 6 } },
    scales: {
      x: { time: true, auto: false },
      y: { range: (_, __, max) => (max > 0 ? Maker.rangeNum(0, max, { min: { pad: 0, soft: 0 }, max: { pad: 0.1, soft: 0 } }) : [0, 1]) },
    },
    axes: [
      { stroke: ink, font: axisFont, grid: { show: false }, ticks: { show: false }, size: 26, gap: 6, space: 64, values: (_, at) => labels(at) },
      {
        stroke: ink,
        font: axisFont,
        grid: line,
        ticks: { show: false },
        size: 62,
        gap: 4,
        space: 44,
        ...(binary ? { incrs: binarySteps } : {}),
        values: (_, values) => values.map(format),
      },
    ],
    series: [
      {},
      ...names.split('\n\n').map((name) => ({
        stroke: cssColor(name.split('\n')[1] ?? ''),
        width: 1.75,
        spanGaps: false,
        points: { show: false, filter: (self: UPlot, series: number) => loneOf(self.data[series] ?? []), size: 5 },
      })),
    ],
    hooks: { setCursor: [(self) => onHover(self.cursor.idx ?? null)] },
  };
}

// The indexes of values between two gaps, which no line would show.
export function loneOf(values: ArrayLike<number | null | undefined>): number[] {
  return Array.from(values, (_, at) => at).filter((at) => isNumber(values[at]) && !isNumber(values[at - 1]) && !isNumber(values[at + 1]));
}

const isNumber = (value: number | null | undefined) => typeof value === 'number';

const exactClock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });

function labels(seconds: number[]): string[] {
  const isFine = seconds.some((second) => second % 60 !== 0);
  return seconds.map((second) => {
    const date = new Date(second * 1000);
    if (isFine) return exactClock.format(date);
    return date.getHours() === 0 && date.getMinutes() === 0 ? day.format(date) : clock.format(date);
  });
}
