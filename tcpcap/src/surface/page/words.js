// Numbers, times and sentences, as `tcpcap explain` tells them.

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const clockOf = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const minuteOf = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const dayOf = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

const plural = (n, one, many) => `${whole.format(n)} ${n === 1 ? one : many}`;

/** `1,234,567`, or `1.2M` where there is no room. */
const count = (n) => (n < 10_000_000 ? whole.format(n) : short.format(n));

/** `0.4`, `12`, `3,400`: a second. */
function rate(perSecond) {
  if (perSecond === 0) return "0/s";
  if (perSecond < 0.1) return "< 0.1/s";
  return `${perSecond < 10 ? Number(perSecond.toFixed(1)) : whole.format(Math.round(perSecond))}/s`;
}

/** Seconds as people write them: `9 min 20 s`. */
function duration(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const two = (big, bigUnit, small, smallUnit) =>
    `${whole.format(big)} ${bigUnit}${small ? ` ${small} ${smallUnit}` : ""}`;
  if (s < 60) return `${s} s`;
  if (s < 3600) return two(Math.floor(s / 60), "min", s % 60, "s");
  if (s < 48 * 3600) return two(Math.floor(s / 3600), "h", Math.floor((s % 3600) / 60), "min");
  return two(Math.floor(s / 86400), "d", Math.floor((s % 86400) / 3600), "h");
}

/** `12 s ago`, in one unit alone. */
function ago(seconds) {
  if (seconds < 2) return "just now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  return seconds < 48 * 3600 ? `${Math.floor(seconds / 3600)} h ago` : `${Math.floor(seconds / 86400)} d ago`;
}

function bytes(n) {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  while (n >= 999.5 && unit < units.length - 1) [n, unit] = [n / 1000, unit + 1];
  return `${unit === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)}\u00a0${units[unit]}`;
}

/** A moment: the time of day, and the day if it was not today. */
function moment(time) {
  const at = new Date(time);
  if (Number.isNaN(at.getTime())) return String(time);
  return Math.abs(Date.now() - at) < 12 * 3600 * 1000 ? clockOf.format(at) : dayOf.format(at);
}

function momentOf(time) {
  return h("time", { datetime: time, title: `${time} (UTC)` }, moment(time));
}

/** A network as people write it: a single address without its length. */
function named(network) {
  const [address, length] = network.split("/");
  return length === (address.includes(":") ? "128" : "32") ? address : network;
}

const TITLES = {
  "port-scan": "Port scan",
  sweep: "Sweep",
  stealth: "Stealth scan",
  stray: "Stray scan",
  "brute-force": "Brute force",
  forged: "Forged scan",
  flood: "SYN flood",
  "flood-source": "SYN flood of one source",
  "fan-out": "Fan-out",
};

const title = (rule) => TITLES[rule] ?? rule;

/** `1000, 1003, 1005 and 16 more`. */
function some(items, most, more) {
  const shown = items.slice(0, most).join(", ");
  const rest = items.length - most;
  if (rest > 0) return `${shown} and ${more ? "at least " : ""}${rest} more`;
  return more ? `${shown} and more` : shown;
}

function places(finding) {
  const { ports, targets, truncated } = finding;
  const port =
    ports.length === 0
      ? ""
      : `${ports.length === 1 ? "port" : "ports"} ${some(ports, 8, truncated && ports.length === 32)}`;
  const target = some(targets, 3, truncated && targets.length === 32);
  return port && target ? `${port} on ${target}` : port || target;
}

/** What was seen, in a sentence. */
function evidence(finding) {
  const where = places(finding);
  const flags = finding.flags ?? [];
  const odd = flags.length ? `segments with the flags ${flags.join(", ")}` : "fragments too short for a TCP header";
  const did =
    {
      "port-scan": `Tried ${where}.`,
      sweep: `Tried ${where}.`,
      stealth: `Sent ${odd} to ${where}.`,
      stray: `Sent segments of no known connection to ${where}.`,
      "brute-force": `Connected again and again to ${where}.`,
      forged: `Somebody tries ${where} in the name of ${finding.in_name_of}.`,
      flood: `Many handshakes are left open: ${where}.`,
      "flood-source": `Left many handshakes open: ${where}.`,
      "fan-out": `Reached for much at once: ${where}.`,
    }[finding.rule] ?? `${where}.`;
  // The window `fast` weighs what it counts: well-known ports more than others.
  const verb = finding.window === "fast" ? "Scored" : "Counted";
  const enough = whole.format(finding.threshold);
  const counted = `${verb} ${whole.format(finding.count)} within ${duration(finding.window_s)}, and ${enough} are enough.`;
  const share = finding.fingerprint_percent ? ` on ${finding.fingerprint_percent}\u00a0%` : "";
  const tool = finding.fingerprint ? ` Marks of ${finding.fingerprint}${share}.` : "";
  return `${did} ${counted}${tool}`;
}

/** What was made of a finding. */
function decided({ decision, why }) {
  const words = { block: `Blocked ${why}`, extend: `Block extended, now ${why}`, observe: `Would be blocked ${why}` };
  return words[decision] ?? (decision === "alert" ? "An alert: nobody is blocked for it" : `Not blocked: ${why}`);
}

/** `port-scan`, `operator: too curious`, `feed drop.txt`. */
function reason({ origin, why }) {
  if (origin === "operator") return why && why !== origin ? `Operator: ${why}` : "Operator";
  if (origin === "feed") return `Feed ${why}`;
  return title(why);
}

const STANDINGS = {
  unverified: "It has not completed a handshake, so the address may be forged.",
  verified: "It has completed a handshake, so the address is real.",
  established: "It has completed more handshakes than it left open, so most of what it does is honest.",
};
