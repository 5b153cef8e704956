// Keys, the chart, runs that open, copying. All of it is a help: every page works without, by links and forms.
"use strict";

const $ = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const tell = (text) => { $("#told").textContent = text; };

// --- The box: says what it takes a text for. The server decides; this only shows it early.

const READS = [
  [/^(AKIA|ASIA|ABIA)[A-Z0-9]{8,}$/, "access key"],
  [/^arn:[^:]*:(sts:|iam:[^:]*:[^:]*:(user\/|root))/, "user"],
  [/^arn:[^:]*:iam:[^:]*:[^:]*:role\//, "sessions of this role"],
  [/^arn:/, "resource"],
  [/^s3:\/\//, "bucket"],
  [/^\d{1,3}(\.\d{1,3}){3}(\/\d+)?$|^[0-9a-f:]*:[0-9a-f:]*:[0-9a-f:]*(\/\d+)?$/i, "address"],
  [/^\d{12}$/, "account"],
  [/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i, "record"],
  [/^[a-z-]+-(?=[0-9a-f]*\d)[0-9a-f]{4,}\*?$/, "resource"],
  [/^[a-z-]+=/, "filter"],
  [/\.amazonaws\.com$/, "service"],
  [/^[a-z]{2}(-[a-z]+)+-\d$/, "region"],
  [/^[A-Z][a-z]+[A-Z*][A-Za-z*]*$|^[a-z0-9]+:[A-Z]/, "action or error"],
  [/\S/, "user"],
];

function said(text) {
  const found = READS.find(([pattern]) => pattern.test(text.trim()));
  return found ? found[1] : "";
}

const ask = $("#ask");
if (ask) {
  const show = () => { $("#ask-reads").textContent = said(ask.value); };
  ask.addEventListener("input", show);
  // What is pasted into an empty box and can only be one thing is searched for at once.
  ask.addEventListener("paste", () => setTimeout(() => {
    show();
    const sure = ["access key", "address", "account", "record", "sessions of this role"];
    if (sure.includes(said(ask.value))) ask.form.requestSubmit();
  }));
}

// --- Rows

const links = () => all("tr.row:not([hidden]) a.open, li.row > a");

function move(step) {
  const rows = links();
  const here = rows.indexOf(document.activeElement);
  const current = here >= 0 ? here : rows.findIndex((link) => link.closest("tr.open"));
  const next = rows[Math.min(rows.length - 1, Math.max(0, current + step))];
  if (!next) return;
  next.focus();
  next.scrollIntoView({ block: "nearest" });
  if ($("#panel article") && next.matches("a.open")) next.click();
}

function toggle(button) {
  const open = button.getAttribute("aria-expanded") !== "true";
  button.setAttribute("aria-expanded", String(open));
  all(`tr[data-run="${button.dataset.opens}"]`).forEach((row) => { row.hidden = !open; });
}

function close() {
  const panel = $("#panel");
  const dialog = $("dialog[open]");
  const menu = $("details.menu[open]");
  if (dialog) return dialog.close();
  if (menu) { menu.open = false; return menu.querySelector("summary").focus(); }
  if (document.activeElement?.matches("input, textarea, select")) return document.activeElement.blur();
  if (!panel?.firstElementChild) return;
  const row = $("tr.open a.open");
  panel.replaceChildren();
  all("tr.open").forEach((open) => open.classList.remove("open"));
  const address = new URL(location.href);
  address.searchParams.delete("open");
  history.replaceState(null, "", address);
  row?.focus();
}

// --- Keys

let pending = "";
const ROOMS = { n: "/", r: "/records", f: "/findings", t: "/trails", i: "/integrity", a: "/reviews", e: "/evidence" };

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") return close();
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea, select")) return;
  const first = pending;
  pending = "";
  if (first === "g" && ROOMS[event.key]) { location.href = ROOMS[event.key]; return; }
  const keys = {
    "/": () => { ask.focus(); ask.select(); },
    "j": () => move(1),
    "k": () => move(-1),
    "x": () => { const times = $(".times", document.activeElement.closest("tr") ?? document.createElement("tr")); if (times) toggle(times); },
    "?": () => $("#keys").showModal(),
    "g": () => { pending = "g"; },
  };
  if (!keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
});

document.addEventListener("click", (event) => {
  const target = event.target;
  // Somebody who wants a new tab gets one.
  if (target.closest("a[hx-get]") && (event.ctrlKey || event.metaKey || event.shiftKey)) { event.stopPropagation(); return; }
  const times = target.closest("button[data-opens]");
  if (times) return toggle(times);
  if (target.closest("button[data-close]")) return close();
  if (target.closest("button[data-keys]")) return $("#keys").showModal();
  const copy = target.closest("button.copy");
  if (copy) {
    event.preventDefault();
    const text = copy.dataset.copyFrom ? document.getElementById(copy.dataset.copyFrom).textContent : copy.dataset.copy;
    navigator.clipboard.writeText(text).then(() => { copy.textContent = "copied"; tell("Copied"); setTimeout(() => { copy.textContent = "copy"; }, 1200); });
    return;
  }
  const menu = $("details.menu[open]");
  if (menu && !menu.contains(target)) menu.open = false;
}, true);

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target.id === "panel") {
    all("tr.open").forEach((row) => row.classList.remove("open"));
    event.detail.requestConfig.elt.closest("tr")?.classList.add("open");
    tell($("#panel h2")?.textContent ?? "");
    $("#panel").scrollTop = 0;
  } else {
    tell("More records are shown");
  }
});

document.addEventListener("htmx:responseError", (event) => {
  if (event.detail.target.id !== "panel") return;
  const said = new DOMParser().parseFromString(event.detail.xhr.responseText, "text/html");
  const trouble = said.querySelector(".trouble");
  $("#panel").replaceChildren(...(trouble ? [document.importNode(trouble, true)] : []));
});

// --- The chart

function draw(place) {
  const data = JSON.parse(place.dataset.chart);
  const colour = (name) => getComputedStyle(place).getPropertyValue(name).trim();
  const bars = uPlot.paths.bars({ size: [0.86, 40], align: 1 });
  const series = (name, label) => ({ label, paths: bars, points: { show: false }, fill: () => colour(name), stroke: "transparent", width: 0 });
  const axis = { stroke: () => colour("--muted"), grid: { show: false }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const clock = (time) => {
    const at = new Date(time * 1000);
    const midnight = time % 86400 === 0;
    return midnight ? `${at.getUTCDate()} ${months[at.getUTCMonth()]}` : at.toISOString().slice(11, 16);
  };
  const [first, last] = [data.starts[0], data.starts[data.starts.length - 1] + data.seconds];
  const chart = new uPlot({
    width: place.clientWidth,
    height: 104,
    padding: [12, 8, 0, 0],
    legend: { show: false },
    tzDate: (time) => uPlot.tzDate(new Date(time * 1000), "Etc/UTC"),
    cursor: { drag: { x: true, y: false, setScale: false }, y: false, points: { show: false } },
    scales: { x: { time: true, range: [first, last] }, y: { range: (_, __, top) => [0, Math.max(1, top)] } },
    axes: [{ ...axis, size: 22, space: 90, values: (_, times) => times.map(clock) }, { ...axis, size: 44, splits: (self) => [0, self.scales.y.max], values: (_, values) => values.map((value) => value.toLocaleString("en")) }],
    series: [{}, series("--bar-reads", "records"), series("--bar-writes", "writes"), series("--bar-errors", "errors")],
    hooks: {
      setSelect: [(self) => {
        if (self.select.width < 4) return;
        const at = (x) => new Date(Math.round(self.posToVal(x, "x")) * 1000).toISOString().replace(".000", "");
        const address = new URL(place.dataset.base, location.origin);
        address.searchParams.set("from", at(self.select.left));
        address.searchParams.set("to", at(self.select.left + self.select.width));
        location.href = address;
      }],
      draw: [(self) => marks(self, data.marks, colour)],
    },
  }, [data.starts, data.total, data.writes, data.errors], place);
  new ResizeObserver(() => chart.setSize({ width: place.clientWidth, height: 104 })).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => chart.redraw());
  const bucket = (index) => `${new Date(data.starts[index] * 1000).toISOString().slice(0, 16).replace("T", " ")}: ${data.total[index]} records, ${data.writes[index]} writes, ${data.errors[index]} errors`;
  chart.over.addEventListener("mousemove", () => { chart.over.title = chart.cursor.idx == null ? "" : bucket(chart.cursor.idx); });
}

function marks(chart, found, colour) {
  const names = ["--informational", "--low", "--medium", "--high", "--critical"];
  const size = 4 * devicePixelRatio;
  [...found].sort((a, b) => a[1] - b[1]).forEach(([time, severity]) => {
    const x = chart.valToPos(time, "x", true);
    chart.ctx.fillStyle = colour(names[severity]);
    chart.ctx.beginPath();
    chart.ctx.moveTo(x - size, chart.bbox.top - 2.4 * size);
    chart.ctx.lineTo(x + size, chart.bbox.top - 2.4 * size);
    chart.ctx.lineTo(x, chart.bbox.top - 0.6 * size);
    chart.ctx.fill();
  });
}

const place = $("#chart");
if (place && window.uPlot) draw(place);
