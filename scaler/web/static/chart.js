// The picture of a fleet: load and forecast above, pods and plan below, one clock under both.
//
// The axis is epoch seconds with ticks of our own, so that a change of the clock neither folds nor tears a line; the
// values under the pointer are written beside the chart, so that no text from outside ever reaches the library.

import { el } from "./dom.js";
import { MEASURES, day, moment, number, time, zone } from "./format.js";
import { figureOf } from "./traces.js";

const HOUR = 3600;
const RANGES = { "8 h": [-2, 6], Day: [-12, 24], "3 days": [-24, 48], Week: [-144, 48] };
const LEGEND = [
  ["load", "load measured"],
  ["forecast", "forecast, the quantile that sizes"],
  ["band", "forecast, median to 99 %"],
  ["ready", "ready pods, and what they carry"],
  ["planned", "what the plan will carry"],
  ["need", "need"],
  ["answer", "told to KEDA"],
  ["limit", "most pods allowed"],
];

let library = null;

function loadLibrary() {
  library ??= new Promise((resolve, reject) => {
    const script = el("script", { src: document.querySelector("meta[name=calltide-charts]").content });
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => {
      library = null;
      script.remove();
      reject(new Error("The chart library did not load."));
    };
    document.head.append(script);
  });
  return library;
}

export function fleetChart(path) {
  let range = "Day";
  let measure = "channels";
  let again = () => {};
  let last = null;
  const plot = el("div", {
    class: "chart",
    tabindex: 0,
    role: "group",
    "aria-roledescription": "chart",
    onkeydown: onKey,
  });
  const readout = el("p", { class: "readout" });
  const note = el("p", { class: "chart-note" });
  const ranges = choice(
    "Range",
    Object.keys(RANGES),
    () => range,
    (chosen) => (range = chosen),
  );
  const measures = el("div");
  const legend = el(
    "ul",
    { class: "legend" },
    ...LEGEND.map(([cls, text]) => el("li", { class: cls }, el("i", { "aria-hidden": "true" }), text)),
  );
  const zoneText = el("span", { class: "muted" });
  const element = el(
    "section",
    { class: "card chart-card" },
    el(
      "div",
      { class: "chart-bar" },
      el("h2", {}, "Load and pods"),
      zoneText,
      el("span", { class: "spring" }),
      measures,
      ranges,
    ),
    note,
    readout,
    plot,
    legend,
  );
  const resize = new ResizeObserver(() => last && draw());
  resize.observe(plot);
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  const onScheme = () => last && draw();
  scheme.addEventListener("change", onScheme);

  function choice(label, names, current, choose) {
    const buttons = names.map((name) =>
      el(
        "button",
        {
          type: "button",
          "aria-pressed": String(current() === name),
          onclick: () => {
            choose(name);
            for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.name === name));
            again();
          },
        },
        MEASURES[name] ?? name,
      ),
    );
    buttons.forEach((button, index) => (button.dataset.name = names[index]));
    return el("div", { class: "choice", role: "group", "aria-label": label }, ...buttons);
  }

  async function load(get, nowS, isPlanned) {
    const [from, to] = RANGES[range].map((hours) => Math.max(0, Math.floor(nowS + hours * HOUR)));
    const [history, forecast, plan] = await Promise.all([
      get(`${path}/history?from=${from}`),
      get(`${path}/forecast?from=${from}&to=${to}`),
      isPlanned ? get(`${path}/plan`) : null,
    ]);
    return { history, forecast, plan, from, to };
  }

  async function render(picture, fleet) {
    const known = Object.keys({ ...picture.history.measures, ...picture.forecast.measures });
    if (known.length && !known.includes(measure)) measure = known[0];
    if (known.length > 1 && !measures.hasChildNodes())
      measures.append(
        choice(
          "Measure",
          known,
          () => measure,
          (chosen) => (measure = chosen),
        ),
      );
    last = { ...picture, fleet };
    await draw();
  }

  async function draw() {
    const plotly = await loadLibrary();
    const style = getComputedStyle(document.documentElement);
    const figure = figureOf(last, measure, plot.clientWidth, (name) => style.getPropertyValue(`--${name}`).trim());
    const first = !plot.classList.contains("js-plotly-plot");
    await plotly.react(plot, figure.data, figure.layout, {
      displayModeBar: false,
      doubleClick: false,
      scrollZoom: false,
      showTips: false,
    });
    if (first) {
      plot.on("plotly_hover", (event) => point(event.xvals?.[0] ?? event.points[0].x));
      plot.on("plotly_unhover", () => point(null));
    }
    for (const item of legend.children) item.hidden = !figure.drawn.includes(item.className);
    note.textContent = missing(last, measure);
    note.hidden = !note.textContent;
    zoneText.textContent = `Times are ${zone(last.history.now_s)}`;
    plot.setAttribute("aria-label", spoken(last, measure));
    if (pointed == null) point(null);
    document.documentElement.dataset.chart = "drawn";
  }

  let pointed = null;

  function point(atS) {
    pointed = atS;
    const parts = valuesAt(last, measure, atS ?? last.history.now_s);
    const when = atS == null ? `Now, ${time(last.history.now_s)}` : moment(atS);
    readout.replaceChildren(
      el("b", {}, when),
      ...parts.flatMap(([label, value]) => [`  ·  ${label} `, el("b", {}, value)]),
    );
  }

  function onKey(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape" && last) {
      readout.removeAttribute("aria-live");
      point(null);
    }
    if (!step || !last) return;
    event.preventDefault();
    // Said aloud only to who reads by keys: otherwise every refresh would speak.
    readout.setAttribute("aria-live", "polite");
    const stepS = (event.shiftKey ? 12 : 1) * 300;
    point(Math.min(last.to, Math.max(last.from, (pointed ?? last.history.now_s) + step * stepS)));
  }

  function close() {
    resize.disconnect();
    scheme.removeEventListener("change", onScheme);
    window.Plotly?.purge(plot);
    delete document.documentElement.dataset.chart;
  }

  return { element, load, render, close, onChoice: (callback) => (again = callback) };
}

// Why there is no forecast in the picture, empty when there is one.
function missing(picture, measure) {
  const coming = picture.forecast.measures[measure];
  if (!coming && picture.fleet.fault) return "There is no forecast, since the fleet cannot be sized.";
  if (!coming) return "There is no forecast yet; the fleet is sized by what is measured.";
  return coming.trust === "cold" ? `No forecast is drawn: it is cold. ${coming.trust_reason}` : "";
}

const slotAt = (slots, atS) => Math.floor((atS - slots.start_s) / slots.step_s);

function valuesAt(picture, measure, atS) {
  const { history, forecast, plan } = picture;
  const load = history.measures[measure];
  const coming = forecast.measures[measure];
  const out = [];
  const add = (label, value) => value != null && out.push([label, number(value)]);
  if (load) add(`${MEASURES[measure]} measured`, load.values[slotAt(load, atS)]);
  if (coming) {
    const median = coming.paths.find((path) => path.quantile === 0.5);
    const sizing = coming.paths.find((path) => path.quantile === picture.fleet.quantile);
    add("forecast median", median?.values[slotAt(coming, atS)]);
    if (sizing && sizing !== median) add(`${number(sizing.quantile * 100)} %`, sizing.values[slotAt(coming, atS)]);
  }
  const recorded = history.recorded;
  const index = recorded.at_s.findLastIndex((each) => each <= atS);
  if (atS > history.now_s && plan) add("need", plan.path.pods[slotAt(plan.path, atS)]);
  else if (index >= 0) {
    add("need", recorded.need[index]);
    add("told to KEDA", recorded.answer[index]);
    add("ready", recorded.ready[index]);
  }
  return out.length ? out : [["nothing known", "–"]];
}

function spoken(picture, measure) {
  const now = valuesAt(picture, measure, picture.history.now_s)
    .map(([label, value]) => `${label} ${value}`)
    .join(", ");
  const ahead = picture.plan?.path.pods ?? [];
  const peak = ahead.length ? ` Highest need of the plan: ${Math.max(...ahead)} pods.` : "";
  return `Load and pods from ${day(picture.from)} ${time(picture.from)} to ${day(picture.to)} ${time(picture.to)}. Now: ${now}.${peak} Arrow keys read values.`;
}
