// Points in a plane: zoom with the wheel, hover for what a point is, click to open it.
import { useComputedColorScheme } from '@mantine/core';
import type { EChartsType } from 'echarts/core';
import { useEffect, useRef } from 'react';
import { cssColor } from '../lib/css-color';

export interface Dot {
  x: number;
  y: number;
  color: string;
  text: string; // shown while the pointer is on it
}

interface Props {
  label: string; // what the picture shows, for those who cannot see it
  height: number;
  dots: Dot[];
  onPick: (index: number) => void;
}

export function Scatter({ label, height, dots, onPick }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<EChartsType | null>(null);
  const scheme = useComputedColorScheme('light');
  const latest = useRef({ dots, onPick });
  useEffect(() => {
    latest.current = { dots, onPick };
    chart.current?.setOption(optionOf(dots), { notMerge: true });
  }, [dots, onPick, scheme]);

  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    let gone = false;
    const watch = new ResizeObserver(() => chart.current?.resize());
    void import('./chart-core').then(({ init }) => {
      if (gone) return;
      const made = init(element, undefined, { renderer: 'canvas' });
      made.on('click', (event) => latest.current.onPick(event.dataIndex));
      made.setOption(optionOf(latest.current.dots));
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

function optionOf(dots: Dot[]) {
  const line = cssColor('--line');
  const axis = {
    type: 'value',
    scale: true,
    axisLine: { show: false },
    axisTick: { show: false },
    axisLabel: { show: false },
    splitLine: { lineStyle: { color: line } },
  };
  return {
    animation: false,
    grid: { left: 8, right: 8, top: 8, bottom: 8 },
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
    xAxis: axis,
    yAxis: axis,
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
