// From the API's answers to what the chart library draws. Only numbers and words of our own go in.

import { day, time } from "./format.js";

const BAND = { 0.75: 0.3, 0.9: 0.22, 0.95: 0.15, 0.99: 0.09 };
const STEPS_S = [900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

export function figureOf(picture, measure, width, colour) {
  const nowS = picture.history.now_s;
  const data = [...loadTraces(picture, measure, colour), ...podTraces(picture, colour)];
  const axis = {
    showgrid: true,
    gridcolor: colour("grid"),
    zeroline: false,
    fixedrange: true,
    rangemode: "tozero",
    tickfont: { color: colour("muted"), size: 12 },
  };
  const ticks = ticksOf(picture.from, picture.to, width);
  const title = (text) => ({ text, font: { size: 12, color: colour("muted") }, standoff: 6 });
  return {
    data,
    // Which entries of the legend the picture has.
    drawn: [...new Set(data.filter((trace) => trace.y.some((value) => value != null)).flatMap((trace) => trace.meta))],
    layout: {
      autosize: true,
      showlegend: false,
      dragmode: false,
      hovermode: "x",
      hoverdistance: -1,
      spikedistance: -1,
      paper_bgcolor: "transparent",
      plot_bgcolor: "transparent",
      font: { family: "inherit", color: colour("text"), size: 12 },
      margin: { l: width < 500 ? 42 : 54, r: 10, t: 18, b: 40 },
      xaxis: {
        ...axis,
        ...ticks,
        range: [picture.from, picture.to],
        anchor: "y2",
        tickmode: "array",
        rangemode: "normal",
        showspikes: true,
        spikemode: "across",
        spikesnap: "cursor",
        spikethickness: 1,
        spikedash: "solid",
        spikecolor: colour("muted"),
      },
      yaxis: {
        ...axis,
        domain: [0.44, 1],
        nticks: 5,
        title: title(measure === "channels" ? "channels" : "calls per second"),
      },
      yaxis2: { ...axis, domain: [0, 0.37], nticks: 4, title: title("pods") },
      shapes: [
        {
          type: "line",
          xref: "x",
          yref: "paper",
          x0: nowS,
          x1: nowS,
          y0: 0,
          y1: 1,
          line: { color: colour("text"), width: 1.2, dash: "dot" },
        },
      ],
      annotations: [
        {
          x: nowS,
          xref: "x",
          y: 1,
          yref: "paper",
          yanchor: "bottom",
          text: "now",
          showarrow: false,
          font: { size: 12, color: colour("text") },
        },
      ],
    },
  };
}

const edges = (slots, count) => Array.from({ length: count }, (_, index) => slots.start_s + index * slots.step_s);

function line(x, y, colourOf, more = {}) {
  const { dash, width = 2, shape = "linear", ...rest } = more;
  return {
    type: "scatter",
    mode: "lines",
    x,
    y,
    hoverinfo: "none",
    connectgaps: false,
    line: { color: colourOf, width, dash, shape },
    ...rest,
  };
}

function loadTraces(picture, measure, colour) {
  const { history, forecast, plan, fleet } = picture;
  const traces = [];
  const coming = forecast.measures[measure];
  if (coming) {
    const x = edges(coming, coming.paths[0].values.length);
    coming.paths.forEach(({ quantile, values }, index) => {
      const fill = index ? { fill: "tonexty", fillcolor: faded(colour("forecast"), BAND[quantile] ?? 0.1) } : {};
      const sizing = quantile === fleet.quantile;
      traces.push(
        line(x, values, colour("forecast"), {
          width: sizing ? 2 : index ? 0 : 1,
          meta: sizing ? ["forecast", "band"] : ["band"],
          ...fill,
        }),
      );
    });
  }
  const perPod = fleet.pod_capacity[measure];
  if (perPod) {
    const carried = history.recorded.ready.map((count) => (count == null ? null : count * perPod));
    traces.push(
      line(untilNow(history), [...carried, carried.at(-1)], colour("ready"), {
        shape: "hv",
        width: 1.6,
        meta: ["ready"],
      }),
    );
    if (plan)
      traces.push(
        line(...ahead(plan, picture, (count) => count * perPod), colour("ready"), {
          shape: "hv",
          width: 1.6,
          dash: "dot",
          meta: ["planned"],
        }),
      );
  }
  const load = history.measures[measure];
  if (load)
    traces.push(line(edges(load, load.values.length), load.values, colour("load"), { width: 1.8, meta: ["load"] }));
  return traces;
}

function podTraces(picture, colour) {
  const { history, plan, fleet } = picture;
  const x = untilNow(history);
  const step = (values, tone, more) =>
    line(x, [...values, values.at(-1)], colour(tone), {
      shape: "hv",
      yaxis: "y2",
      meta: [{ muted: "answer", plan: "need" }[tone] ?? tone],
      ...more,
    });
  const traces = [
    step(history.recorded.ready, "ready", { fill: "tozeroy", fillcolor: faded(colour("ready"), 0.16) }),
    step(history.recorded.answer, "muted", { dash: "dash", width: 1.4 }),
    step(history.recorded.need, "plan", { width: 1.8 }),
  ];
  if (plan)
    traces.push(
      line(...ahead(plan, picture, (count) => count), colour("plan"), {
        shape: "hv",
        yaxis: "y2",
        width: 1.8,
        meta: ["need"],
      }),
    );
  const most = fleet.maximum_pods;
  const highest = Math.max(0, ...(plan?.path.pods ?? []), ...history.recorded.need.filter((count) => count != null));
  // A limit far above everything would only flatten the picture.
  if (most != null && most <= highest * 1.25)
    traces.push(
      line([picture.from, picture.to], [most, most], colour("danger"), {
        yaxis: "y2",
        width: 1.4,
        dash: "dot",
        meta: ["limit"],
      }),
    );
  return traces;
}

const untilNow = (history) => [...history.recorded.at_s, history.now_s];

// The plan from now to the right edge.
function ahead(plan, picture, value) {
  const { start_s: startS, step_s: stepS, pods } = plan.path;
  const first = Math.max(0, Math.floor((picture.history.now_s - startS) / stepS));
  const last = Math.min(pods.length, Math.ceil((picture.to - startS) / stepS));
  const x = [],
    y = [];
  for (let index = first; index < last; index += 1) {
    x.push(Math.max(picture.history.now_s, startS + index * stepS));
    y.push(value(pods[index]));
  }
  return [x, y];
}

function faded(colour, opacity) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  return `rgba(${red},${green},${blue},${opacity})`;
}

// Ticks at round hours of the browser's clock, the date where a day begins.
function ticksOf(fromS, toS, width) {
  const most = Math.max(3, Math.floor(width / 74));
  const stepS = STEPS_S.find((each) => (toS - fromS) / each <= most) ?? 86400 * Math.ceil((toS - fromS) / 86400 / most);
  const start = new Date(fromS * 1000);
  const tickvals = [],
    ticktext = [];
  for (let count = 0; ; count += 1) {
    const at = new Date(start.getFullYear(), start.getMonth(), start.getDate(), 0, 0, count * stepS);
    const atS = at.getTime() / 1000;
    if (atS > toS) break;
    if (atS < fromS || atS === tickvals.at(-1)) continue;
    tickvals.push(atS);
    const isMidnight = at.getHours() === 0 && at.getMinutes() === 0;
    ticktext.push(stepS >= 86400 ? day(atS) : isMidnight ? `${time(atS)}<br>${day(atS)}` : time(atS));
  }
  return { tickvals, ticktext };
}
