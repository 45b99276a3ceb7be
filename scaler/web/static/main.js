// The page: one view at a time, asked for again every few seconds, and honest about what it does not know.

import { el, renderInto } from "./dom.js";
import { duration, second, zone } from "./format.js";
import { fleetView } from "./fleet.js";
import { listView } from "./list.js";

const REFRESH_MS = 3000;
const PATIENCE_MS = 8000;

const main = document.getElementById("main");
const banners = document.getElementById("banners");
const pulse = document.getElementById("pulse");
let view = null;
let turn = 0;
let timer = 0;
let heard = null; // { nowS, speed, atMs } of the last answer.

class Refused extends Error {
  constructor(status, problem) {
    super(problem?.error ?? `The service answered with status ${status}.`);
    this.remedy = problem?.remedy ?? "";
  }
}

async function get(path) {
  const response = await fetch(path, { signal: AbortSignal.timeout(PATIENCE_MS), cache: "no-store" });
  if (response.ok) return response.json();
  throw new Refused(response.status, await response.json().catch(() => null));
}

async function refresh() {
  clearTimeout(timer);
  const mine = ++turn;
  try {
    const status = await get("api/v1/status");
    if (mine !== turn) return;
    heard = { nowS: status.now_s, speed: status.speed, atMs: performance.now(), status };
    try {
      const data = await view.load(get, status);
      if (mine !== turn) return;
      await view.render(data, { status, nowS: status.now_s });
    } catch (error) {
      if (!(error instanceof Refused) || mine !== turn) throw error;
      renderInto(main, [error.message, error.remedy], () => refusal(error));
      view = { load: view.load, render: () => open() };
    }
    say(status);
  } catch (error) {
    if (mine === turn) lost(error);
  }
  if (mine === turn) timer = setTimeout(refresh, REFRESH_MS);
}

function refusal(error) {
  return el(
    "div",
    { class: "card empty" },
    el("h1", {}, error.message),
    el("p", {}, error.remedy),
    el("p", {}, el("a", { href: "#/" }, "All fleets")),
  );
}

function say(status) {
  main.classList.remove("stale");
  pulse.className = "pulse live";
  pulse.textContent = "live";
  tick();
  const demo = document.getElementById("demo");
  demo.hidden = !status.demo;
  demo.textContent = status.speed === 1 ? "demo: simulated calls" : `demo: simulated calls, ${status.speed}× as fast`;
  const role = document.getElementById("role");
  role.hidden = status.replica.role === "single";
  role.textContent =
    status.replica.role === "leader"
      ? `${status.replica.name}: leader`
      : `${status.replica.name}: follows ${status.replica.leader ?? "nobody yet"}`;
  document.getElementById("zone").textContent = zone(status.now_s);
  const failing = status.checks.filter((check) => !check.ok);
  const unwell = [
    ...status.sources
      .filter((source) => !source.up)
      .map((source) => `History source ${source.name}: ${source.problem ?? "does not answer"}`),
    ...status.failing_jobs.map((job) => `Job ${job.name}: ${job.error}`),
  ];
  renderInto(banners, [failing, unwell, status.policy_problems], () => [
    failing.length
      ? banner(
          "danger",
          "KEDA may not get fresh answers.",
          failing.map((check) => check.message),
        )
      : null,
    status.policy_problems.length
      ? banner(
          "warn",
          "A policy directory was rejected; the policies before it stay in force.",
          status.policy_problems.slice(0, 20),
        )
      : null,
    unwell.length ? banner("warn", "A part of calltide is not well; the fleets keep their answers.", unwell) : null,
  ]);
}

function lost(error) {
  main.classList.add("stale");
  pulse.className = "pulse lost";
  pulse.textContent = "no answer";
  const since = heard ? `What you see is from ${second(heard.nowS)}.` : "Nothing was heard from it yet.";
  const why = error.name === "TimeoutError" ? `It took longer than ${duration(PATIENCE_MS / 1000)}.` : error.message;
  renderInto(banners, ["lost", since, why], () =>
    banner("danger", "calltide does not answer.", [
      `${since} The page tries again every few seconds. KEDA goes on with the last plan, or leaves the fleets as they are.`,
      why,
    ]),
  );
}

function banner(tone, headline, lines) {
  const body = lines.length > 1 ? el("ul", {}, ...lines.map((line) => el("li", {}, line))) : (lines[0] ?? "");
  return el("div", { class: `banner ${tone}` }, el("strong", {}, headline), body);
}

function open() {
  const [, kind, namespace, name] = location.hash.split("/");
  view?.close?.();
  view = kind === "fleet" && name ? fleetView(decode(namespace), decode(name)) : listView();
  view.onInput?.(refresh);
  delete document.documentElement.dataset.view;
  renderInto(main, ["view", location.hash, ++turn], () => view.element);
  return refresh();
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function tick() {
  if (heard) {
    const nowS = heard.nowS + ((performance.now() - heard.atMs) / 1000) * heard.speed;
    document.getElementById("clock").textContent = second(nowS);
  }
}

addEventListener("hashchange", () => {
  if (location.hash === "#main") return;
  open().then(() => main.focus({ preventScroll: true }));
  scrollTo(0, 0);
});
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : refresh()));
setInterval(tick, 250);
open();
