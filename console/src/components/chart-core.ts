// The parts of ECharts the console draws with; loaded when the first chart is shown.
import { ScatterChart } from 'echarts/charts';
import { DataZoomInsideComponent, GridComponent, TooltipComponent } from 'echarts/components';
import * as core from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';

core.use([ScatterChart, GridComponent, TooltipComponent, DataZoomInsideComponent, CanvasRenderer]);

export const { init } = core;
