// How far a fleet's forecast may be believed: what it is made of, and how those that were published before did.

import { el } from "./dom.js";
import { MEASURES, day, number } from "./format.js";

const TRUST_TONES = { trusted: "good", learning: "grow", degraded: "warn", cold: "warn" };
const MODELS = { "seasonal-naive": "Weekly naive" };

export function qualityPart(quality, scores) {
  const measures = Object.entries(quality.measures);
  const heading = el("h2", { id: "quality" }, "How good the forecast is");
  if (!measures.length) return [heading, el("p", {}, "There is no forecast yet.")];
  return [
    heading,
    ...measures.flatMap(([measure, told]) => [
      measures.length > 1 ? el("h3", { class: "measure" }, MEASURES[measure]) : null,
      el(
        "p",
        { class: "trust" },
        el("span", { class: `tag ${TRUST_TONES[told.trust] ?? ""}` }, told.trust),
        ` ${sentence(told.trust_reason)}`,
      ),
      ...membersPart(told),
      ...livePart(told),
      ...backtestPart(scores.measures[measure] ?? {}),
    ]),
    el(
      "p",
      { class: "muted note" },
      "Error: sum of the absolute errors of the median over the sum of load. Weekly naive: the load a week before. " +
        "Loss: pinball loss over the mean load. The lower, the better; below the 95 % line should lie 93 to 98 %.",
    ),
  ];
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

function membersPart(told) {
  if (!told.members.length) return [];
  const rows = told.members.map((member) =>
    row(member.name, [`${Math.round(100 * member.weight)} %`, "number"], [member.sentence]),
  );
  return [table("What it is made of", ["Part", ["Weight", "number"], "Why"], rows)];
}

function livePart(told) {
  const notes = [
    told.problem && `Published forecasts cannot be kept or scored: ${told.problem}`,
    told.set_aside && `${told.set_aside} damaged ${told.set_aside === 1 ? "file was" : "files were"} set aside.`,
  ].filter(Boolean);
  const warned = notes.length ? [el("p", { class: "old" }, notes.join(" "))] : [];
  const scored = told.live.filter((lead) => lead.cells);
  if (!scored.length) {
    const kept = told.issues ? `${told.issues} kept; they are scored once their load has come.` : "none kept yet.";
    return [...warned, el("p", { class: "muted" }, `Published forecasts: ${kept}`)];
  }
  const rows = scored.map((lead) =>
    row(
      `up to\u00a0${lead.lead.replace("h", "\u00a0h")}`,
      [share(lead.wape), "number"],
      // Beside the naive counts what both have: where that is less, its own error there is told as well.
      [beside(lead), `number ${isWorse(lead) ? "old" : ""}`],
      [signedShare(lead.bias), "number"],
      [share(lead.coverage95), "number"],
      [share(lead.pinball95), "number"],
      [number(lead.cells), "number"],
    ),
  );
  const heads = ["Ahead", "Error", "Weekly naive", "Bias", "Below 95 % line", "Loss at 95 %", "Values"];
  return [
    ...warned,
    table(
      `Published forecasts: ${told.issues} since ${day(told.since_s)}`,
      heads.map((head, index) => (index ? [head, "number"] : head)),
      rows,
    ),
  ];
}

const isWorse = (lead) => lead.naive_wape != null && lead.beside_wape > lead.naive_wape;

function beside(lead) {
  if (lead.naive_wape == null) return "–";
  const other = Math.abs(lead.beside_wape - lead.wape) >= 0.0005 ? ` (of ${share(lead.beside_wape)})` : "";
  return `${share(lead.naive_wape)}${other}`;
}

function backtestPart(byModel) {
  const rows = Object.entries(byModel).map(([model, scores]) =>
    row(
      MODELS[model] ?? model,
      [share(scores.wape), "number"],
      [share(scores.first_hour_wape), "number"],
      [share(scores.coverage95), "number"],
      [share(scores.pinball95), "number"],
    ),
  );
  if (!rows.length) return [];
  const heads = ["Model", "Error", "First hour", "Below 95 % line", "Loss at 95 %"];
  return [
    table(
      "Replayed over the last week",
      heads.map((head, index) => (index ? [head, "number"] : head)),
      rows,
    ),
  ];
}

const share = (value) => (value == null ? "–" : `${(100 * value).toFixed(1)} %`);
const signedShare = (value) =>
  value == null ? "–" : `${value > 0 ? "+" : value < 0 ? "−" : ""}${share(Math.abs(value))}`;

function row(name, ...cells) {
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, name),
    ...cells.map(([text, cls]) => el("td", { class: cls ?? "" }, text)),
  );
}

function table(title, heads, rows) {
  const head = heads.map((each) => {
    const [text, cls] = Array.isArray(each) ? each : [each, ""];
    return el("th", { scope: "col", class: cls }, text);
  });
  return el(
    "div",
    { class: "scores" },
    el("table", {}, el("caption", {}, title), el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows)),
  );
}
