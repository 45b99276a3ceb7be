// One fleet: its numbers and their reason, the picture of past and plan, the sum, and what it stands on.

import { fleetChart } from "./chart.js";
import { el, renderInto } from "./dom.js";
import { MEASURES, URGENCIES, ago, duration, number, pods, signed, timeFrom, timeIn } from "./format.js";
import { qualityPart } from "./quality.js";
import { retirementPart } from "./retirement.js";

const PARTS = {
  measured: "Load now",
  headroom: "Headroom",
  hold: "Held answer",
  "plan-book": "Plan book",
  forecast: "Forecast",
  schedule: "Schedule",
  minimum: "Minimum",
  "max-step": "Step limit",
  "launch-budget": "Launch budget",
  maximum: "Maximum",
  unconfirmed: "Waiting change",
  observe: "Observe only",
  "not-serving": "Not serving",
  freeze: "Frozen",
  band: "Tolerance band",
};
const OLD_FORECAST_S = 3 * 3600;

export function fleetView(namespace, name) {
  const path = `api/v1/fleets/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`;
  const head = el("div");
  const chart = fleetChart(path);
  const why = el("section", { class: "card", "aria-labelledby": "why" });
  const good = el("section", { class: "card", "aria-labelledby": "quality" });
  const leaving = el("section", { class: "card", "aria-labelledby": "retirement" });
  const facts = el("section", { class: "card" });
  const standing = el("section", { class: "card" });

  async function load(get, status) {
    const fleet = await get(path);
    const isPlanned = fleet.need != null;
    const [explanation, quality, scores, retirement, picture] = await Promise.all([
      isPlanned ? get(`${path}/explanation`) : null,
      get(`${path}/quality`),
      get(`${path}/scores`),
      get(`${path}/retirement`),
      chart.load(get, status.now_s, isPlanned),
    ]);
    return { fleet, explanation, quality, scores, retirement, picture };
  }

  async function render({ fleet, explanation, quality, scores, retirement, picture }, { nowS }) {
    document.title = `${fleet.name}: ${fleet.serving} of ${fleet.need ?? "?"} pods · calltide`;
    renderInto(head, [fleet, Math.floor(nowS / 60)], () => headPart(fleet, nowS));
    renderInto(why, [explanation, fleet.fault, fleet.reason], () => whyPart(explanation, fleet));
    renderInto(good, [quality.measures, scores.measures], () => qualityPart(quality, scores));
    renderInto(leaving, [{ ...retirement, now_s: 0, at_s: 0 }, Math.floor(nowS / 60)], () =>
      retirementPart(retirement, nowS),
    );
    renderInto(facts, fleet, () => factsPart(fleet, nowS));
    renderInto(standing, [fleet.pod_rows, fleet.pods], () => podsPart(fleet, nowS));
    await chart.render(picture, fleet);
    document.documentElement.dataset.view = "fleet";
  }

  return {
    element: [
      el("a", { class: "back", href: "#/" }, "← All fleets"),
      head,
      chart.element,
      el("div", { class: "two" }, el("div", { class: "stack" }, why, leaving, good, standing), facts),
    ],
    onInput: (again) => chart.onChoice(again),
    close: () => chart.close(),
    load,
    render,
  };
}

function headPart(fleet, nowS) {
  const [tone, word] = URGENCIES[fleet.urgency];
  const tenants =
    fleet.tenants.slice(0, 8).join(", ") + (fleet.tenant_count > 8 ? ` and ${fleet.tenant_count - 8} more` : "");
  const local = fleet.time_zone && timeIn(fleet.time_zone, nowS);
  return [
    el(
      "div",
      { class: "fleet-head" },
      el("h1", {}, fleet.name),
      el("span", { class: `tag ${tone}` }, word),
      fleet.paused ? el("span", { class: "tag warn" }, "Paused in KEDA") : null,
    ),
    el(
      "p",
      { class: "fleet-sub" },
      `${fleet.namespace} · ${fleet.tenant_count === 1 ? "tenant" : "tenants"} ${tenants} · policy ${fleet.policy}${local ? ` · ${local} in ${fleet.time_zone}` : ""}`,
    ),
    el("p", { class: "verdict" }, fleet.reason || fleet.summary),
    el("dl", { class: "figures" }, ...figures(fleet, nowS)),
  ];
}

function figures(fleet, nowS) {
  const starting = fleet.pods.starting
    ? `${fleet.pods.starting} starting`
    : `${fleet.spec_replicas} asked of the cluster`;
  const load = Object.entries(fleet.load_now)
    .map(([measure, value]) => `${number(value)} ${MEASURES[measure]}`)
    .join(", ");
  const room = fleet.headroom_pods;
  const peak = fleet.peak;
  const unmet = peak?.unmet ? `, ${peak.unmet} more would be filled` : "";
  return [
    figure(
      "Serving now",
      fleet.serving,
      starting,
      fleet.need != null && fleet.serving < fleet.need && room < 0 ? "danger" : "",
    ),
    figure("Needed", fleet.need ?? "–", fleet.lead_s == null ? "no plan" : `looking ${duration(fleet.lead_s)} ahead`),
    figure("Told to KEDA", fleet.answer ?? "–", toldWords(fleet)),
    figure(
      "Room now",
      room == null ? "–" : signed(room),
      room == null ? "load not known" : `${pods(fleet.measured_pods)} filled${load ? ` by ${load}` : ""}`,
      room < 0 ? "danger" : "",
    ),
    figure(
      "Peak ahead",
      peak?.need ?? "–",
      peak
        ? `${timeFrom(peak.at_s, nowS)}, ${peak.at_s > nowS ? `in ${duration(peak.at_s - nowS)}` : "now"}${unmet}`
        : "no forecast",
      peak?.unmet ? "warn" : "",
    ),
  ];
}

function toldWords(fleet) {
  if (fleet.answer == null) return "nothing";
  if (fleet.held) return "held, data are missing";
  const more = fleet.answer - fleet.need;
  return more > 0
    ? `${more} more than needed, see below`
    : more < 0
      ? `${-more} fewer than needed, see below`
      : "the need";
}

function figure(label, value, note, tone = "") {
  return el("div", { class: `figure ${tone}` }, el("dt", {}, label), el("dd", {}, String(value)), el("dd", {}, note));
}

function whyPart(explanation, fleet) {
  if (!explanation) {
    const remedy = fleet.fault ?? "The first plan is made as soon as the fleet was seen; this page shows it then.";
    return [el("h2", { id: "why" }, "Why there is no number"), el("p", {}, remedy)];
  }
  const rows = [];
  explanation.contributions.forEach((step, index) => {
    const binding = step.part === explanation.binding ? "binding" : "";
    const cut = explanation.cut_by.includes(step.part) ? "cut" : "";
    rows.push(
      el(
        "tr",
        { class: `${binding} ${cut}` },
        el(
          "th",
          { scope: "row" },
          PARTS[step.part] ?? step.part,
          binding ? el("span", { class: "muted" }, "decides") : null,
        ),
        el("td", {}, step.sentence),
        el("td", { class: "number" }, signed(step.pods)),
        el("td", { class: "number" }, String(step.total)),
      ),
    );
    if (index === explanation.need_after && index < explanation.contributions.length - 1)
      rows.push(sum("Need", "serving pods wanted now", explanation.need));
  });
  rows.push(sum("Answer", "told to KEDA", explanation.answer));
  return [
    el("h2", { id: "why" }, "Why this number"),
    // Said at the top of the page already, unless something more urgent is.
    explanation.summary === fleet.reason ? null : el("p", {}, explanation.summary),
    el(
      "table",
      {},
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          ...[
            ["Part", ""],
            ["Because", ""],
            ["Pods", "number"],
            ["Total", "number"],
          ].map(([text, cls]) => el("th", { scope: "col", class: cls }, text)),
        ),
      ),
      el("tbody", {}, ...rows),
    ),
  ];
}

function sum(label, text, total) {
  return el(
    "tr",
    { class: "sum" },
    el("th", { scope: "row" }, label),
    el("td", {}, text),
    el("td", {}),
    el("td", { class: "number" }, String(total)),
  );
}

function factsPart(fleet, nowS) {
  const lowered = fleet.mode && fleet.mode !== fleet.effective_mode ? ` (the policy says ${fleet.mode})` : "";
  const rows = [
    ["Mode", `${fleet.effective_mode ?? "none"}${lowered}`],
    ["Trust", `${fleet.trust}. ${fleet.trust_reason}`],
    ["Forecast made", ago(fleet.issue_age_s), fleet.issue_age_s > OLD_FORECAST_S],
    [
      "Newest data",
      ago(fleet.data_age_s),
      fleet.held != null || (fleet.data_old_after_s != null && fleet.data_age_s > fleet.data_old_after_s),
    ],
    ["Pods seen", ago(fleet.observed_age_s), fleet.observed_age_s > 120],
    [
      "Lead",
      fleet.lead_s == null
        ? "not known"
        : `${duration(fleet.lead_s)}, ${fleet.lead_is_measured ? "measured" : "the policy's default"}`,
    ],
    [
      "Sized by",
      fleet.quantile == null
        ? "not known"
        : fleet.quantile === 0.5
          ? "median and grade of service"
          : `${number(fleet.quantile * 100)} % quantile`,
    ],
    ["Limits", fleet.minimum_pods == null ? "not known" : `${fleet.minimum_pods} to ${pods(fleet.maximum_pods)}`],
    ["Held", fleet.held ?? "no", fleet.held != null],
    ["Waits", fleet.pending ?? "nothing to confirm", fleet.pending != null],
  ];
  const body = rows.map(([label, text, old]) =>
    el("tr", {}, el("th", { scope: "row" }, label), el("td", { class: old ? "old" : "" }, text)),
  );
  return [el("h2", {}, "What it stands on"), el("table", { class: "facts" }, el("tbody", {}, ...body))];
}

const MOST_ROWS = 40;

function podsPart(fleet, nowS) {
  const counts = Object.entries(fleet.pods)
    .filter(([, count]) => count)
    .map(([state, count]) => `${count} ${state}`)
    .join(", ");
  const rows = fleet.pod_rows
    .slice(-MOST_ROWS)
    .reverse()
    .map((pod) =>
      el(
        "tr",
        {},
        el("th", { scope: "row" }, el("code", {}, pod.name)),
        el("td", {}, pod.state),
        el("td", { class: "muted" }, ago(nowS - (pod.ready_s ?? pod.created_s))),
      ),
    );
  const table = el("table", {}, el("tbody", {}, ...rows));
  return [
    el("h2", {}, "Pods"),
    el("p", {}, counts || "None seen."),
    rows.length ? el("details", {}, el("summary", {}, `The newest ${rows.length}`), table) : null,
  ];
}
