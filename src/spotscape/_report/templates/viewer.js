(function () {
  "use strict";
  const viewer = document.getElementById("viewer");
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const info = read("viewer-data");
  const tabs = Array.from(viewer.querySelectorAll("[role=tab]"));
  const panels = tabs.map((tab) => document.getElementById(tab.getAttribute("aria-controls")));
  const tip = viewer.querySelector(".tip");
  const opacity = document.getElementById("opacity");
  const drawn = new Map();
  const homes = new Map();
  let current = 0;
  let color = "domain";
  let alone = null;

  const renderer = (plot, name) => plot.renderers.find((one) => one.name === name);
  const allOf = (source, name) => {
    const data = source.data;
    return data instanceof Map || typeof data.get === "function" ? data.get(name) : data[name];
  };

  function style(plot) {
    for (const name of ["domain", "confidence"]) {
      const one = renderer(plot, name);
      if (one) one.visible = name === color;
    }
    // Points have colours of their own, and pixels one mapper for the image. The last colour is that of no domain.
    const glyph = renderer(plot, "domain").glyph;
    const mapper = glyph.color_mapper || glyph.fill_color.transform;
    const others = mapper.palette.slice(info.colors.length);
    mapper.palette = info.colors.map((value, i) => (alone === null || alone === i ? value : "#e8e8e8")).concat(others);
    const image = renderer(plot, "image");
    viewer.querySelector(".opacity").hidden = !image;
    if (image) {
      for (const name of ["domain", "confidence"]) {
        const one = renderer(plot, name);
        if (one && one.glyph.color_mapper) one.glyph.global_alpha = { value: opacity.value / 100 };
        else if (one) one.glyph.fill_alpha = { value: opacity.value / 100 };
      }
    }
  }

  async function draw(number) {
    if (!drawn.has(number)) {
      await Bokeh.embed.embed_item(read("data-" + number));
      const plot = Bokeh.documents[Bokeh.documents.length - 1].roots()[0];
      drawn.set(number, plot);
      const { x_range: x, y_range: y } = plot;
      homes.set(number, [x.start, x.end, y.start, y.end]);
      viewer.dataset.drawn = Array.from(drawn.keys()).join(" ");
    }
    style(drawn.get(number));
  }

  function open(number, focus) {
    current = number;
    tip.hidden = true;
    tabs.forEach((tab, i) => {
      tab.setAttribute("aria-selected", String(i === number));
      tab.tabIndex = i === number ? 0 : -1;
      panels[i].hidden = i !== number;
    });
    if (focus) tabs[number].focus();
    draw(number);
  }

  function move(factor, dx, dy) {
    const plot = drawn.get(current);
    if (!plot) return;
    for (const [range, step] of [[plot.x_range, dx], [plot.y_range, dy]]) {
      const centre = (range.start + range.end) / 2 + step * (range.end - range.start);
      const half = (factor * (range.end - range.start)) / 2;
      range.setv({ start: centre - half, end: centre + half });
    }
  }

  function reset() {
    const plot = drawn.get(current);
    if (!plot) return;
    const [x0, x1, y0, y1] = homes.get(current);
    plot.x_range.setv({ start: x0, end: x1 });
    plot.y_range.setv({ start: y0, end: y1 });
  }

  // Number of the pixel below the mouse, or -1.
  function pixel(place, values, geometry) {
    const [height, width] = values.shape;
    const column = Math.floor(((geometry.x - place.x.value) / place.dw.value) * width);
    const row = Math.floor(((geometry.y - place.y.value) / place.dh.value) * height);
    return column >= 0 && column < width && row >= 0 && row < height ? row * width + column : -1;
  }

  window.spotscapeHover = function (number, event) {
    if (event.renderer && !event.renderer.visible) return;
    const shown = event.renderer || renderer(drawn.get(number), "domain");
    const source = shown.data_source;
    const isImage = Boolean(shown.glyph.color_mapper);
    const column = (name) => (isImage ? (allOf(source, name) || [])[0] : allOf(source, name));
    let i;
    if (isImage) i = pixel(shown.glyph, column("domain"), event.geometry);
    else i = event.index.indices.length ? event.index.indices[event.index.indices.length - 1] : -1;
    if (i < 0 || column("domain")[i] > info.domains.length) {
      tip.hidden = true;
      return;
    }
    const lines = [];
    if (!isImage && info.spots[number].length) lines.push(info.spots[number][i]);
    const domain = column("domain")[i];
    lines.push("Domain: " + (domain < info.domains.length ? info.domains[domain] : "none"));
    const confidence = column("confidence");
    if (confidence && confidence[i] <= 100) lines.push("Confidence: " + (confidence[i] / 100).toFixed(2));
    const counts = column("counts");
    if (counts) lines.push(counts[i].toLocaleString("en") + " " + info.countsName + ", " + column("genes")[i].toLocaleString("en") + " genes");
    tip.textContent = lines.join("\n");
    tip.hidden = false;
    const box = document.getElementById("map-" + number);
    const x = box.offsetLeft + event.geometry.sx + 14;
    tip.style.left = Math.max(0, Math.min(x, viewer.clientWidth - tip.offsetWidth - 4)) + "px";
    tip.style.top = box.offsetTop + event.geometry.sy + 14 + "px";
  };

  tabs.forEach((tab, i) => {
    tab.addEventListener("click", () => open(i));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) {
        event.preventDefault();
        open((i + step + tabs.length) % tabs.length, true);
      }
    });
    const box = panels[i].querySelector(".map");
    box.addEventListener("mouseleave", () => (tip.hidden = true));
    box.addEventListener("keydown", (event) => {
      const moves = {
        "+": [0.7, 0, 0], "=": [0.7, 0, 0], "-": [1 / 0.7, 0, 0],
        ArrowLeft: [1, -0.15, 0], ArrowRight: [1, 0.15, 0], ArrowUp: [1, 0, 0.15], ArrowDown: [1, 0, -0.15],
      };
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (moves[event.key]) move(...moves[event.key]);
      else if (event.key === "0") reset();
      else return;
      event.preventDefault();
    });
  });

  viewer.querySelectorAll("[data-zoom]").forEach((button) =>
    button.addEventListener("click", () => {
      if (button.dataset.zoom === "reset") reset();
      else move(button.dataset.zoom === "in" ? 0.6 : 1 / 0.6, 0, 0);
    })
  );
  const byConfidence = viewer.querySelector("[data-color]");
  if (byConfidence) {
    byConfidence.addEventListener("click", () => {
      color = color === "domain" ? "confidence" : "domain";
      byConfidence.setAttribute("aria-pressed", String(color === "confidence"));
      drawn.forEach(style);
    });
  }
  const chips = Array.from(viewer.querySelectorAll("[data-domain]"));
  chips.forEach((chip, i) =>
    chip.addEventListener("click", () => {
      alone = alone === i ? null : i;
      chips.forEach((one, k) => one.setAttribute("aria-pressed", String(k === alone)));
      drawn.forEach(style);
    })
  );
  opacity.addEventListener("input", () => drawn.forEach(style));

  const copy = document.getElementById("copy");
  if (navigator.clipboard) {
    copy.hidden = false;
    copy.addEventListener("click", async () => {
      const items = Array.from(document.querySelectorAll("#methods li")).map((one, i) => i + 1 + ". " + one.textContent.trim());
      const text = [document.getElementById("methods-text").textContent, "", ...items].join("\n");
      try {
        await navigator.clipboard.writeText(text);
        document.getElementById("copied").textContent = "Copied.";
      } catch {
        document.getElementById("copied").textContent = "The browser did not allow it; select the text instead.";
      }
    });
  }

  viewer.hidden = false;
  open(0);
})();
