/* A reader may order the rows of a table by any column and keep those that say something. Headings become buttons only here, so
   without scripts a table is a table of its first rows; the others stand packed behind it and come when it is opened. Undefined
   cells stay at the end; equal cells keep their order. */
(function () {
  "use strict";
  function make(tag, attributes, text) {
    var made = document.createElement(tag);
    Object.keys(attributes).forEach(function (name) { made.setAttribute(name, attributes[name]); });
    if (text) { made.textContent = text; }
    return made;
  }
  function valueOf(row, column, numeric) {
    var cell = row.cells[column];
    if (cell.querySelector(".missing")) { return null; }
    var text = cell.dataset.order || cell.textContent.trim();
    return numeric ? Number(text.replace("\u2212", "-").replace("e\u2212", "e-").replace("\u221e", "Infinity")) : text;
  }
  function order(rows, column, numeric, sign) {
    return rows.map(function (row) { return [valueOf(row, column, numeric), row]; }).sort(function (first, second) {
      if (first[0] === null || second[0] === null) { return (first[0] === null) - (second[0] === null); }
      return sign * (numeric ? first[0] - second[0] : first[0].localeCompare(second[0], "en", { numeric: true }));
    });
  }
  /* Rows packed by the report itself, every text of which was made harmless before; the page's policy runs no script in them. */
  function unpack(packed) {
    var text = atob(packed.textContent.trim()), bytes = new Uint8Array(text.length), at;
    for (at = 0; at < text.length; at += 1) { bytes[at] = text.charCodeAt(at); }
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).text();
  }
  function prepare(block) {
    var table = block.querySelector("table"), body = table.tBodies[0], shown = block.querySelector(".shown");
    var headings = Array.from(table.tHead.rows[0].cells);
    headings.forEach(function (heading, column) { sorted(heading, column); });
    filter();
    block.dataset.ready = "";

    function sorted(heading, column) {
      var numeric = heading.classList.contains("number"), button = make("button", { type: "button", "class": "sort" });
      button.append.apply(button, Array.from(heading.childNodes));
      heading.append(button);
      button.addEventListener("click", function () {
        var now = heading.getAttribute("aria-sort");
        var next = now ? (now === "ascending" ? "descending" : "ascending") : (numeric ? "descending" : "ascending");
        headings.forEach(function (other) { other.removeAttribute("aria-sort"); });
        heading.setAttribute("aria-sort", next);
        order(Array.from(body.rows), column, numeric, next === "ascending" ? 1 : -1).forEach(function (pair) { body.append(pair[1]); });
      });
    }
    function filter() {
      var bar = make("p", { "class": "filter" }), where = make("label", {}, "Rows where "), what = make("label", {}, " says ");
      var choice = make("select", {}), wanted = make("input", { type: "search", size: 14 });
      choice.append(make("option", { value: "" }, "any column"));
      headings.forEach(function (heading, column) { choice.append(make("option", { value: column }, heading.textContent.trim())); });
      where.append(choice);
      what.append(wanted);
      bar.append(where, what);
      block.insertBefore(bar, block.querySelector(".scroll"));
      [choice, wanted].forEach(function (control) { control.addEventListener("input", apply); });
      function apply() {
        var text = wanted.value.trim().toLowerCase(), count = 0;
        Array.from(body.rows).forEach(function (row) {
          var cells = choice.value === "" ? Array.from(row.cells) : [row.cells[choice.value]];
          row.hidden = text !== "" && !cells.some(function (cell) {
            var said = cell.textContent.trim().toLowerCase();
            return cell.classList.contains("number") ? said.split(" ")[0] === text : said.includes(text);
          });
          count += row.hidden ? 0 : 1;
        });
        if (shown) { shown.textContent = count; }
      }
    }
  }
  document.addEventListener("DOMContentLoaded", function () {
    document.querySelectorAll("details.table").forEach(function (block) {
      if (block.open) { bring(block); } else { block.addEventListener("toggle", function () { bring(block); }, { once: true }); }
    });
    function bring(block) {
      var packed = block.querySelector("script");
      (packed ? unpack(packed) : Promise.resolve("")).then(function (rows) {
        var body = block.querySelector("tbody"), shown = block.querySelector(".shown");
        if (packed) {
          packed.remove();
          body.insertAdjacentHTML("beforeend", rows);
        }
        if (shown) { shown.textContent = body.rows.length; }
        prepare(block);
      });
    }
    function openNamed() {
      var named = location.hash && document.getElementById(location.hash.slice(1));
      if (named && named.matches("details.table")) { named.open = true; }
    }
    window.addEventListener("hashchange", openNamed);
    openNamed();
  });
}());
