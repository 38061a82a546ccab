"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const dashes = { solid: [], dashed: [6, 4], dotted: [2, 3] };
  const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  document.documentElement.classList.add("js");

  // ---- tables: a click on a head sorts; numbers by their value, dashes last

  function sortBy(table, place) {
    const heads = [...table.tHead.rows[0].cells];
    const numeric = heads[place].classList.contains("number");
    const before = heads[place].getAttribute("aria-sort");
    const sign = (before ? before === "descending" : !numeric) ? 1 : -1;
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[place].setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    const value = (row) => row.cells[place].dataset.value;
    const rows = [...table.tBodies[0].rows].sort((one, other) => {
      const [a, b] = [value(one), value(other)];
      if (a !== undefined && b !== undefined) return sign * (Number(a) - Number(b));
      if (a !== undefined || b !== undefined) return a === undefined ? 1 : -1;
      return sign * one.cells[place].textContent.localeCompare(other.cells[place].textContent, "en", { numeric: true });
    });
    table.tBodies[0].append(...rows);
  }
  for (const table of document.querySelectorAll("table.sortable"))
    [...table.tHead.rows[0].cells].forEach((head, place) =>
      head.querySelector("button").addEventListener("click", () => sortBy(table, place)));

  // ---- charts: zoom by dragging, back by a double click, hover, smoothing, logarithm

  const plots = []; // {plot, part, runs}: a run, or null, for every series
  const hidden = {}; // by part, the runs that are switched off
  const alpha = (color, share) => color + Math.round(share * 255).toString(16).padStart(2, "0");

  function smooth(values, weight) {
    let total = 0, mass = 0;
    return values.map((value) => {
      if (value === null) return null;
      total = total * weight + value;
      mass = mass * weight + 1;
      return total / mass;
    });
  }

  function tooltip(panel, series) {
    const tip = make("div", "tip");
    const update = (plot) => {
      const { left, top, idx } = plot.cursor;
      if (idx === null || idx === undefined || left < 0) { tip.style.display = "none"; return; }
      const found = series.map((one, place) => ({ ...one, value: plot.data[place + 1][idx], place: place + 1 }))
        .filter((one) => one.named && one.value !== null && one.value !== undefined && plot.series[one.place].show)
        .map((one) => ({ ...one, far: Math.abs(plot.valToPos(one.value, "y") - top) }))
        .sort((one, other) => one.far - other.far).slice(0, 8).sort((one, other) => other.value - one.value);
      if (!found.length) { tip.style.display = "none"; return; }
      tip.replaceChildren(make("div", "", `${panel.across} ${plot.data[0][idx]}`), ...found.map((one) => {
        const row = make("div");
        const dot = make("i");
        dot.style.background = one.color;
        row.append(dot, `${Number(one.value.toPrecision(4))}  ${one.label}`);
        return row;
      }));
      tip.style.display = "block";
      const right = left > plot.over.clientWidth / 2;
      tip.style.left = right ? "" : `${left + 14}px`;
      tip.style.right = right ? `${plot.over.clientWidth - left + 14}px` : "";
      tip.style.top = `${Math.max(0, Math.min(top, plot.over.clientHeight - tip.clientHeight))}px`;
    };
    return { hooks: { init: (plot) => plot.over.append(tip), setCursor: update } };
  }

  function seriesOf(panel, weight) {
    const series = [], columns = [panel.x], bands = [];
    const add = (line, y, options, named) => {
      series.push({ label: line.label, run: line.run, color: line.color, named,
        uplot: { label: line.label, spanGaps: true, points: { show: y.filter((v) => v !== null).length < 3 }, ...options } });
      columns.push(y);
    };
    const share = Math.min(0.14, 0.3 / panel.lines.filter((line) => line.low).length);
    for (const line of panel.lines) {
      const style = { stroke: line.color, width: 1.6, dash: dashes[line.dash] };
      if (line.low) {
        const edge = { stroke: "transparent", width: 0, points: { show: false } };
        add(line, line.high, edge, false);
        add(line, line.low, edge, false);
        bands.push({ series: [columns.length - 2, columns.length - 1], fill: alpha(line.color, share) });
      }
      if (panel.noisy && weight > 0) {
        add(line, line.y, { stroke: alpha(line.color, 0.3), width: 1, points: { show: false } }, false);
        add(line, smooth(line.y, weight), style, true);
      } else add(line, line.y, style, true);
    }
    return { series, columns, bands };
  }

  const rangeOf = (plot, low, high) => low === null ? [0, 1]
    : low === high ? [Math.min(0, low), Math.max(1, 1.2 * high)] : uPlot.rangeNum(low, high, 0.1, true);

  function drawPanel({ box, panel, last }, across, key, height, state) {
    const { series, columns, bands } = seriesOf(panel, state.smoothing);
    const off = hidden[key.part];
    const axis = { stroke: () => ink("--soft"), grid: { stroke: () => ink("--line"), width: 1 },
      ticks: { stroke: () => ink("--line"), width: 1 }, font: "12px system-ui, sans-serif" };
    const plot = new uPlot({
      width: Math.max(280, box.clientWidth), height, bands, legend: { show: false },
      plugins: [tooltip({ across }, series)],
      scales: { x: { time: false }, y: state.log.has(panel) ? { distr: 3 } : { range: rangeOf } },
      axes: [{ ...axis, label: last ? across : undefined, labelSize: 18, labelFont: "12px system-ui, sans-serif" }, { ...axis, size: 58, values: (_, ticks) => ticks.map((tick) => tick === null ? "" : Number(tick.toPrecision(4))) }],
      cursor: { sync: { key: key.chart, setSeries: false }, drag: { x: true, y: false }, points: { size: 5 } },
      series: [{}, ...series.map((one) => ({ ...one.uplot, show: !off.has(one.run) }))],
    }, columns, box);
    const entry = { plot, part: key.part, runs: series.map((one) => one.run), box, height };
    plots.push(entry);
    return entry;
  }

  function keyOf(panels) {
    const list = make("ul", "key");
    const lines = panels.flatMap((panel) => panel.lines);
    const many = new Set(lines.map((line) => line.label)).size > 24; // then settings, not runs
    const seen = new Map();
    for (const line of lines) {
      const name = (many && line.group) || line.label;
      if (!seen.has(name)) seen.set(name, line);
    }
    if (seen.size < 2) return list;
    for (const [name, line] of seen) {
      const item = make("li");
      if (!many && line.run !== null) item.dataset.run = line.run;
      item.innerHTML = '<svg viewBox="0 0 26 8"><path d="M0 4H26" fill="none" stroke-width="2"/></svg>';
      item.querySelector("path").setAttribute("stroke", line.color);
      item.querySelector("path").setAttribute("stroke-dasharray", dashes[line.dash].join(" "));
      item.append(name);
      list.append(item);
    }
    return list;
  }

  function drawChart(figure) {
    const chart = data.charts[figure.dataset.chart];
    const key = { chart: figure.dataset.chart, part: figure.closest("[data-part]").dataset.part };
    const live = figure.querySelector(".live");
    const state = { smoothing: data.smoothing, log: new Set(chart.panels.filter((panel) => panel.log)) };
    const grid = make("div", chart.columns > 1 ? "grid two" : "grid");
    const height = chart.panels.length === 1 ? 340 : chart.columns > 1 ? 220 : 170;
    const cells = chart.panels.map((panel, place) => {
      const box = make("div", "panel");
      const head = make("h3", "", panel.title);
      if (panel.unit) head.append(make("small", "", ` ${panel.unit}`));
      box.append(head);
      grid.append(box);
      return { panel, box, last: place >= chart.panels.length - chart.columns, entry: null };
    });
    const draw = () => cells.forEach((cell) => {
      if (cell.entry) { plots.splice(plots.indexOf(cell.entry), 1); cell.entry.plot.destroy(); }
      cell.entry = drawPanel(cell, chart.across, key, height + (cell.last ? 18 : 0), state);
    });
    const controls = make("div", "controls");
    if (chart.panels.some((panel) => panel.noisy)) {
      const label = make("label", "", "smoothing ");
      const slider = make("input", "smoothing");
      Object.assign(slider, { type: "range", min: 0, max: 0.95, step: 0.05, value: state.smoothing });
      slider.addEventListener("input", () => { state.smoothing = Number(slider.value); draw(); });
      label.append(slider);
      controls.append(label);
    }
    const positive = chart.panels.filter((panel) => panel.lines.every((line) => line.y.every((v) => v === null || v > 0)) && panel.unit !== "dB" && panel.unit !== "PSNR (dB)");
    if (positive.length) {
      const label = make("label");
      const box = make("input", "log");
      Object.assign(box, { type: "checkbox", checked: state.log.size > 0 });
      box.addEventListener("change", () => { state.log = new Set(box.checked ? positive : []); draw(); });
      label.append(box, "logarithmic");
      controls.append(label);
    }
    controls.append(make("span", "", "drag to zoom, double click to see all"));
    live.append(controls, grid, keyOf(chart.panels));
    draw();
  }

  for (const part of document.querySelectorAll("[data-part]")) hidden[part.dataset.part] = new Set();
  document.querySelectorAll("figure.chart").forEach(drawChart);
  let pending = 0;
  new ResizeObserver(() => {
    cancelAnimationFrame(pending);
    pending = requestAnimationFrame(() => plots.forEach(({ plot, box, height }) => {
      const width = Math.max(280, box.clientWidth);
      if (width !== plot.width) plot.setSize({ width, height });
    }));
  }).observe(document.body);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plots.forEach(({ plot }) => plot.redraw()));

  // ---- runs are shown and hidden everywhere at once

  function showRuns(part, names, shown) {
    const off = hidden[part.dataset.part];
    for (const name of names) shown ? off.delete(name) : off.add(name);
    for (const { plot, part: name, runs } of plots)
      if (name === part.dataset.part) plot.batch(() => runs.forEach((run, place) => {
        if (names.includes(run) && plot.series[place + 1].show !== shown) plot.setSeries(place + 1, { show: shown });
      }));
    for (const element of part.querySelectorAll("[data-run]"))
      if (names.includes(element.dataset.run)) {
        if (element.classList.contains("chip")) element.setAttribute("aria-pressed", shown);
        else if (element.classList.contains("tile")) element.hidden = !shown;
        else element.classList.toggle("off", !shown);
      }
  }
  for (const part of document.querySelectorAll("[data-part]")) {
    const chips = [...part.querySelectorAll(".chip[data-run]")];
    for (const chip of chips)
      chip.addEventListener("click", () => showRuns(part, [chip.dataset.run], chip.getAttribute("aria-pressed") !== "true"));
    part.querySelector(".chip.all")?.addEventListener("click", () =>
      showRuns(part, chips.map((chip) => chip.dataset.run), hidden[part.dataset.part].size > 0));
  }

  // ---- films: one scrubber for all

  function playFilms(section) {
    const films = data.films[section.dataset.films];
    const [tiles, scrubber, output, play, choice, errors] =
      [".tiles", ".scrubber", ".frame", ".play", ".clip", ".errors"].map((name) => section.querySelector(name));
    let film, shown = [], timer = 0;

    function draw() {
      const frame = Number(scrubber.value), [width, height] = film.size;
      output.textContent = `frame ${film.first + frame * film.every}`;
      for (const { tile, canvas, pictures, score } of shown) {
        const picture = errors.checked && tile.error ? pictures.error : pictures.sheet;
        if (picture.complete && picture.naturalWidth)
          canvas.getContext("2d").drawImage(picture, (frame % film.columns) * width, Math.floor(frame / film.columns) * height,
            width, height, 0, 0, width, height);
        const psnr = tile.psnr?.[frame];
        score.textContent = psnr === undefined || psnr === null ? "" : ` ${psnr.toFixed(1)} dB`;
      }
    }
    function load() {
      film = films[Number(choice.value)];
      scrubber.max = film.frames - 1;
      scrubber.value = Math.min(Number(scrubber.value), film.frames - 1);
      shown = film.tiles.map((tile) => {
        const figure = make("figure", "tile"), canvas = make("canvas"), caption = make("figcaption", "", tile.label);
        [canvas.width, canvas.height] = film.size;
        const score = make("b");
        caption.append(score);
        figure.append(canvas, caption);
        if (tile.run !== null) {
          figure.dataset.run = tile.run;
          figure.hidden = hidden[section.dataset.films].has(tile.run);
        }
        const pictures = {};
        for (const kind of ["sheet", "error"]) if (tile[kind]) {
          pictures[kind] = new Image();
          pictures[kind].onload = draw;
          pictures[kind].src = tile[kind];
        }
        return { tile, canvas, pictures, score, figure };
      });
      tiles.replaceChildren(...shown.map(({ figure }) => figure));
      draw();
    }
    function step() {
      scrubber.value = (Number(scrubber.value) + 1) % film.frames;
      draw();
    }
    function toggle() {
      timer = timer ? (clearInterval(timer), 0) : setInterval(step, 80);
      play.textContent = timer ? "❚❚" : "▶";
    }
    play.addEventListener("click", toggle);
    scrubber.addEventListener("input", draw);
    errors.addEventListener("change", draw);
    choice.addEventListener("change", load);
    load();
  }
  document.querySelectorAll(".films").forEach(playFilms);
})();
