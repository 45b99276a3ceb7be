// The list of fleets, the most urgent first.

import { el, renderInto, svg } from "./dom.js";
import { MEASURES, URGENCIES, duration, number, timeFrom } from "./format.js";

const STEPS = [
  "Write a policy and put it in the policy directory; check it with: calltide policy validate",
  "Point a ScaledObject at calltide: a trigger of type external-push or external, with the metadata policy and tenant. Or list the fleet in the policy under fleets.",
  "The fleet appears here as soon as it was seen. Begin with mode: observe, which changes nothing.",
];

export function listView() {
  const heading = el("div");
  const search = el("input", {
    class: "search",
    type: "search",
    placeholder: "Find a fleet or tenant",
    "aria-label": "Find a fleet or tenant",
    maxlength: 253,
  });
  const rows = el("ol", { class: "fleets" });
  const rest = el("div");
  const rowOf = new Map();

  function render({ fleets }, { status }) {
    const text = search.value.trim();
    document.title = title(status);
    search.hidden = !text && fleets.total < 12;
    renderInto(heading, [status.fleets, fleets.total], () => headline(status, fleets));
    for (const key of rowOf.keys()) if (!fleets.fleets.some((fleet) => keyOf(fleet) === key)) rowOf.delete(key);
    const ordered = fleets.fleets.map((fleet) => {
      const item = rowOf.get(keyOf(fleet)) ?? el("li");
      rowOf.set(keyOf(fleet), item);
      renderInto(item, [fleet, Math.floor(fleets.now_s / 60)], () => row(fleet, fleets.now_s));
      return item;
    });
    if (ordered.some((item, index) => rows.children[index] !== item) || rows.children.length !== ordered.length) {
      const focused = document.activeElement;
      rows.replaceChildren(...ordered);
      if (rows.contains(focused)) focused.focus();
    }
    renderInto(rest, [fleets.total, ordered.length, text], () => remainder(fleets.total, ordered.length, text));
    document.documentElement.dataset.view = "list";
  }

  return {
    element: [el("div", { class: "list-head" }, heading, el("span", { class: "spring" }), search), rows, rest],
    onInput: (again) => search.addEventListener("input", again),
    load: async (get) => ({
      fleets: await get(`api/v1/fleets?limit=300&search=${encodeURIComponent(search.value.trim())}`),
    }),
    render,
  };
}

const keyOf = (fleet) => `${fleet.namespace}/${fleet.name}`;
export const hashOf = (fleet) => `#/fleet/${encodeURIComponent(fleet.namespace)}/${encodeURIComponent(fleet.name)}`;
const urgent = (status) =>
  Object.entries(status.fleets).filter(([name, count]) => count && !["calm", "growing"].includes(name));

function title(status) {
  const count = urgent(status).reduce((sum, [, each]) => sum + each, 0);
  return count ? `(${count}) calltide` : "calltide";
}

function headline(status, fleets) {
  const total = Object.values(status.fleets).reduce((sum, each) => sum + each, 0);
  if (!total) return [el("h1", {}, "No fleet yet")];
  const worst = urgent(status);
  const count = worst.reduce((sum, [, each]) => sum + each, 0);
  const words = worst.map(([name, each]) => `${each} ${URGENCIES[name][1].toLowerCase()}`).join(", ");
  const head = count
    ? `${count} of ${total} fleets want a look`
    : total === 1
      ? "The fleet is calm"
      : `All ${total} fleets are calm`;
  return [
    el("h1", {}, head),
    el("p", { class: "muted" }, words || "No fleet needs you. One that does comes to the top."),
  ];
}

function remainder(total, shown, text) {
  if (total === 0 && text) return el("p", { class: "more" }, `No fleet, tenant or policy contains “${text}”.`);
  if (total === 0) {
    return el(
      "div",
      { class: "card empty" },
      el("h2", {}, "Here is what to do"),
      el("ol", {}, ...STEPS.map((step) => el("li", {}, step))),
    );
  }
  return shown < total
    ? el("p", { class: "more" }, `${total - shown} more, all calmer than these. Search to find one.`)
    : null;
}

function row(fleet, nowS) {
  const [tone, word] = URGENCIES[fleet.urgency];
  const need = fleet.need == null ? "no plan" : `of ${fleet.need} needed`;
  const tenants =
    fleet.tenants.join(", ") +
    (fleet.tenant_count > fleet.tenants.length ? ` and ${fleet.tenant_count - fleet.tenants.length} more` : "");
  return el(
    "article",
    { class: `row ${tone}` },
    el(
      "div",
      { class: "name" },
      el("a", { href: hashOf(fleet) }, fleet.name),
      el("div", { class: "tenants" }, tenants === fleet.name ? fleet.namespace : `${fleet.namespace} · ${tenants}`),
    ),
    el("div", { class: "pods" }, el("b", {}, String(fleet.serving)), el("span", { class: "of" }, need)),
    el(
      "div",
      { class: "why" },
      el(
        "div",
        { class: "state" },
        el("span", { class: `tag ${tone}` }, word),
        el("span", { class: "tag" }, trustWords(fleet)),
        el("span", { class: "load" }, loadWords(fleet)),
      ),
      el("span", {}, fleet.reason || fleet.summary),
    ),
    el("div", { class: "ahead" }, sparkline(fleet), el("span", {}, aheadWords(fleet, nowS))),
  );
}

function trustWords(fleet) {
  const mode = fleet.effective_mode ?? "no mode";
  const lowered = fleet.mode && fleet.mode !== fleet.effective_mode ? `${fleet.mode} as ${mode}` : mode;
  return `${lowered} · ${fleet.trust}`;
}

const loadWords = (fleet) =>
  Object.entries(fleet.load_now)
    .map(([measure, value]) => `${number(value)} ${MEASURES[measure]} now`)
    .join(", ");

function aheadWords(fleet, nowS) {
  if (!fleet.peak) return "No forecast";
  const inWords = fleet.peak.at_s > nowS ? `in ${duration(fleet.peak.at_s - nowS)}` : "now";
  return `Peak ${fleet.peak.need} at ${timeFrom(fleet.peak.at_s, nowS)}, ${inWords}`;
}

// The need of the next day as a step line, with the pods that serve now as a dashed line: does it have to rise?
function sparkline(fleet) {
  const path = fleet.need_ahead?.pods ?? [];
  if (path.length < 2) return null;
  const top = Math.max(...path, fleet.serving, 1);
  const y = (count) => (32 - (30 * count) / top).toFixed(1);
  const steps = path
    .map((count, index) => `${index ? "L" : "M"}${index} ${y(count)}L${index + 1} ${y(count)}`)
    .join("");
  const label = `Need over the next 24 hours, between ${Math.min(...path)} and ${Math.max(...path)} pods; ${fleet.serving} serve now`;
  return svg(
    "svg",
    { class: "spark", viewBox: `0 0 ${path.length} 34`, preserveAspectRatio: "none", role: "img", "aria-label": label },
    svg("path", { class: "under", d: `${steps}L${path.length} 34L0 34Z` }),
    svg("path", { class: "need", d: steps }),
    svg("line", { class: "serving", x1: 0, x2: path.length, y1: y(fleet.serving), y2: y(fleet.serving) }),
  );
}
