// Numbers, ages and instants in words. Instants are epoch seconds and are shown on the browser's own clock.

const clockTime = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const clockSecond = new Intl.DateTimeFormat(undefined, {
  weekday: "short",
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const dayAndTime = new Intl.DateTimeFormat(undefined, {
  weekday: "short",
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});
const dayName = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short" });

const date = (epochS) => new Date(epochS * 1000);
const sameDay = (a, b) => date(a).toDateString() === date(b).toDateString();

export const time = (epochS) => clockTime.format(date(epochS));
export const second = (epochS) => clockSecond.format(date(epochS));
export const moment = (epochS) => dayAndTime.format(date(epochS));
export const day = (epochS) => dayName.format(date(epochS));
export const timeFrom = (epochS, nowS) => (sameDay(epochS, nowS) ? time(epochS) : moment(epochS));

export function zone(epochS) {
  const minutes = -date(epochS).getTimezoneOffset();
  const two = (number) => String(number).padStart(2, "0");
  const offset = `UTC${minutes < 0 ? "−" : "+"}${two(Math.floor(Math.abs(minutes) / 60))}:${two(Math.abs(minutes) % 60)}`;
  const name = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return !name || name === "UTC" ? "UTC" : `${name}, ${offset}`;
}

export function timeIn(zoneName, epochS) {
  try {
    const format = { timeZone: zoneName, weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    return new Intl.DateTimeFormat(undefined, format).format(date(epochS));
  } catch {
    return null; // This browser does not know the zone.
  }
}

export function duration(seconds) {
  if (seconds == null) return "not known";
  const s = Math.max(0, Math.round(seconds));
  if (s < 120) return `${s} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  if (s < 172800) return `${Math.floor(s / 3600)} h ${String(Math.round((s % 3600) / 60) % 60).padStart(2, "0")} min`;
  return `${Math.round(s / 86400)} days`;
}

export const ago = (seconds) => (seconds == null ? "not known" : `${duration(seconds)} ago`);
export const number = (value) =>
  value == null ? "–" : value.toLocaleString(undefined, { maximumFractionDigits: value < 10 ? 1 : 0 });
export const signed = (value) => (value > 0 ? `+${value}` : value < 0 ? `−${-value}` : "0");
export const pods = (count) => `${count} ${count === 1 ? "pod" : "pods"}`;

export const MEASURES = { channels: "channels", call_rate: "calls/s" };

// [tone, word] of each urgency; the tone is also the class of its tag and row.
export const URGENCIES = {
  short: ["danger", "Short of pods"],
  fault: ["danger", "Cannot be sized"],
  "short-ahead": ["warn", "Short at the peak"],
  held: ["warn", "Answer held"],
  degraded: ["warn", "Forecast degraded"],
  pending: ["warn", "Waits for you"],
  growing: ["grow", "Growing"],
  calm: ["good", "Calm"],
};
