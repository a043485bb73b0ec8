// Points in a plane: zoom with the wheel, hover for what a point is, click to open it.
import { useComputedColorScheme } from '@mantine/core';
import type { EChartsType } from 'echarts/core';
import { useEffect, useRef } from 'react';
import { cssColor } from '../lib/css-color';
import { windowOf } from '../lib/plane';

export interface Dot {
  x: number;
  y: number;
  color: string;
  text: string; // shown while the pointer is on it
}

interface Props {
  label: string; // what the picture shows, for those who cannot see it
  axes: [string, string]; // what lies across and upwards
  height: string; // in CSS
  dots: Dot[];
  onPick: (index: number) => void;
}

export function Scatter({ label, axes, height, dots, onPick }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<EChartsType | null>(null);
  const scheme = useComputedColorScheme('light');
  const latest = useRef({ dots, axes, onPick });
  const [across, upwards] = axes;
  useEffect(() => {
    latest.current = { dots, axes: [across, upwards], onPick };
    if (chart.current) draw(chart.current, dots, [across, upwards]);
  }, [dots, across, upwards, onPick, scheme]);

  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    let gone = false;
    const watch = new ResizeObserver(() => {
      chart.current?.resize();
      chart.current?.setOption(windowOption(chart.current, latest.current.dots));
    });
    void import('./chart-core').then(({ init }) => {
      if (gone) return;
      const made = init(element, undefined, { renderer: 'canvas' });
      made.on('click', (event) => latest.current.onPick(event.dataIndex));
      draw(made, latest.current.dots, latest.current.axes);
      chart.current = made;
      watch.observe(element);
    });
    return () => {
      gone = true;
      watch.disconnect();
      chart.current?.dispose();
      chart.current = null;
    };
  }, []);
  return <div ref={box} style={{ width: '100%', height }} role="img" aria-label={label} />;
}

const room = { left: 28, right: 8, top: 8, bottom: 28 }; // around the dots; names of the axes stand in it

function draw(chart: EChartsType, dots: Dot[], axes: [string, string]) {
  chart.setOption(optionOf(dots, axes), { notMerge: true });
  chart.setOption(windowOption(chart, dots));
}

function windowOption(chart: EChartsType, dots: Dot[]) {
  const { x, y } = windowOf(dots, chart.getWidth() - room.left - room.right, chart.getHeight() - room.top - room.bottom);
  return { xAxis: { min: x[0], max: x[1] }, yAxis: { min: y[0], max: y[1] } };
}

function optionOf(dots: Dot[], [across, upwards]: [string, string]) {
  const line = cssColor('--line');
  const axis = {
    type: 'value',
    nameLocation: 'middle',
    nameGap: 8,
    nameTextStyle: { color: cssColor('--ink-2'), fontSize: 12, fontFamily: 'Inter Variable, sans-serif' },
    axisLine: { show: false },
    axisTick: { show: false },
    axisLabel: { show: false },
    splitLine: { lineStyle: { color: line } },
  };
  return {
    animation: false,
    grid: room,
    dataZoom: [
      { type: 'inside', xAxisIndex: 0, filterMode: 'none' },
      { type: 'inside', yAxisIndex: 0, filterMode: 'none' },
    ],
    tooltip: {
      renderMode: 'richText', // drawn on the canvas: an HTML one needs inline styles
      confine: true,
      backgroundColor: cssColor('--surface'),
      borderColor: cssColor('--line-strong'),
      textStyle: { color: cssColor('--ink'), fontSize: 12, fontFamily: 'Inter Variable, sans-serif' },
      // Braces and bars would be read as styles of the rich text.
      formatter: ({ dataIndex }: { dataIndex: number }) => (dots[dataIndex]?.text ?? '').replace(/[{}|]/g, ' '),
    },
    xAxis: { ...axis, name: across },
    yAxis: { ...axis, name: upwards },
    series: [
      {
        type: 'scatter',
        symbolSize: dots.length > 400 ? 6 : 8,
        data: dots.map((dot) => ({ value: [dot.x, dot.y], itemStyle: { color: dot.color, opacity: 0.8 } })),
        emphasis: { itemStyle: { borderColor: cssColor('--ink'), borderWidth: 2, opacity: 1 } },
      },
    ],
  };
}
