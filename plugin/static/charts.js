// Draws each chart from the table below it, with uPlot: counts as bars, what has a unit as a line with dots and an axis
// of its own, so that they can be told apart without colours.
"use strict";

(() => {
  const HEIGHT = 190;
  const DOT = 5;
  const language = document.documentElement.lang;
  const written = (value) => value.toLocaleString(language, { minimumFractionDigits: 1, maximumFractionDigits: 1 });

  function read(figure) {
    const heads = [...figure.querySelectorAll("thead th")].slice(1);
    const rows = [...figure.querySelectorAll("tbody tr")];
    return {
      slot: figure.querySelector("thead th").textContent,
      labels: rows.map((row) => row.querySelector("th").textContent.trim()),
      series: heads.map((head, place) => ({
        title: head.textContent.trim(),
        unit: head.dataset.unit,
        values: rows.map((row) => {
          const value = row.querySelectorAll("td")[place].dataset.value;
          return value === "" ? null : Number(value);
        }),
      })),
    };
  }

  function options(figure, told, width) {
    const style = getComputedStyle(figure);
    const colour = (name) => style.getPropertyValue(name).trim();
    const ink = style.color;
    const grid = { stroke: colour("--bol-grid"), width: 1 };
    const bars = uPlot.paths.bars({ size: [0.7, 40] });
    const drawn = told.series.map((series, place) => {
      const first = place === 0;
      if (series.unit) {
        return {
          label: series.title, scale: "unit", stroke: colour("--bol-line"), width: 2, dash: [6, 3],
          points: { show: true, size: DOT, fill: colour("--bol-line") }, spanGaps: true,
          value: (_plot, value) => (value === null ? "–" : written(value)),
        };
      }
      const fill = colour(first ? "--bol-bar" : "--bol-bar-2");
      return { label: series.title, scale: "count", stroke: fill, fill, paths: bars, points: { show: false }, value: (_plot, value) => (value == null ? "–" : value.toLocaleString(language)) };
    });
    // uPlot by itself writes numbers as the browser does, whatever the page's language.
    const numbers = (_plot, splits) => splits.map((split) => (split == null ? "" : split.toLocaleString(language)));
    const whole = (_plot, splits) => splits.map((split) => (Number.isInteger(split) ? split.toLocaleString(language) : ""));
    const axes = [
      {
        stroke: ink, grid: { show: false }, ticks: { show: false }, space: 48, size: 28,
        splits: (_plot, _axis, from, to, step) => {
          const every = Math.max(1, Math.round(step));
          return told.labels.map((_label, place) => place).filter((place) => place >= from && place <= to && place % every === 0);
        },
        values: (_plot, splits) => splits.map((place) => told.labels[place] || ""),
      },
      { scale: "count", stroke: ink, grid, ticks: { show: false }, size: 44, values: whole },
    ];
    if (told.series.some((series) => series.unit)) {
      axes.push({ scale: "unit", side: 1, stroke: ink, grid: { show: false }, ticks: { show: false }, size: 44, values: numbers });
    }
    const fromZero = (_plot, _low, high) => [0, high > 0 ? high * 1.1 : 1];
    return {
      width, height: HEIGHT, axes,
      scales: { x: { time: false, range: [-0.6, told.labels.length - 0.4] }, count: { range: fromZero }, unit: { range: fromZero } },
      series: [{ label: told.slot, value: (_plot, place) => (place === null ? "–" : told.labels[place]) }, ...drawn],
      cursor: { drag: { x: false, y: false }, points: { show: false } },
      legend: { live: true },
    };
  }

  document.querySelectorAll("[data-bol-chart]").forEach((figure) => {
    const place = figure.querySelector(".bol-plot");
    const told = read(figure);
    const data = [told.labels.map((_label, number) => number), ...told.series.map((series) => series.values)];
    const draw = () => new uPlot(options(figure, told, place.clientWidth), data, place);
    let plot = draw();
    new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height: HEIGHT })).observe(figure);
    // The canvas keeps the colours that it was painted in.
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      plot.destroy();
      plot = draw();
    });
  });
})();
