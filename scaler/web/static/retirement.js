// How a fleet's pods leave: what drains, what it waits for, and what keeps everything where it is.

import { el } from "./dom.js";
import { ago } from "./format.js";

export function retirementPart(retirement, nowS) {
  const heading = el("h2", { id: "retirement" }, "How pods leave");
  if (retirement.mode == null) return [heading, el("p", { class: "muted" }, "Nothing is retired here.")];
  const mode = { on: "good", "dry-run": "grow", off: "" }[retirement.mode] ?? "";
  return [
    heading,
    el("p", {}, el("span", { class: `tag ${mode}` }, `retirement ${retirement.mode}`)),
    ...retirement.standstills.map((one) => el("p", { class: "old" }, one.sentence)),
    ...retirement.conditions.map((one) => el("p", { class: "old" }, one.sentence)),
    ...retirement.failures.map((text) => el("p", { class: "muted" }, text)),
    podsTable(retirement.pods, nowS) ?? el("p", { class: "muted" }, "No pod is on its way out."),
  ];
}

function podsTable(pods, nowS) {
  if (!pods.length) return null;
  const rows = pods.map((pod) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, el("code", {}, pod.name)),
      el("td", {}, pod.state),
      el("td", { class: "number" }, pod.channels == null ? "?" : String(pod.channels)),
      el("td", { class: "muted" }, pod.since_s == null ? "" : ago(nowS - pod.since_s)),
      el("td", {}, pod.why),
    ),
  );
  const heads = [["Pod"], ["State"], ["Channels", "number"], ["Drains since"], ["Waits for"]];
  const head = el("tr", {}, ...heads.map(([text, cls]) => el("th", { scope: "col", class: cls ?? "" }, text)));
  return el("div", { class: "scores" }, el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows)));
}
