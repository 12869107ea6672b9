/* A reader may order the rows of a table by any column. Headings become buttons only here, so without scripts a table is a
   table. Undefined cells stay at the end; equal cells keep their order. */
(function () {
  "use strict";
  function valueOf(row, column, numeric) {
    var cell = row.cells[column];
    if (cell.querySelector(".missing")) { return null; }
    var text = cell.textContent.trim();
    return numeric ? Number(text.replace("\u2212", "-").replace("e\u2212", "e-").replace("\u221e", "Infinity")) : text;
  }
  function order(rows, column, numeric, sign) {
    return rows.map(function (row) { return [valueOf(row, column, numeric), row]; }).sort(function (first, second) {
      if (first[0] === null || second[0] === null) { return (first[0] === null) - (second[0] === null); }
      return sign * (numeric ? first[0] - second[0] : first[0].localeCompare(second[0], "en", { numeric: true }));
    });
  }
  function prepare(table) {
    var headings = Array.from(table.tHead.rows[0].cells);
    var body = table.tBodies[0];
    var remark = table.closest(".block").querySelector(".source");
    if (remark) { remark.append(" Press a heading to sort."); }
    headings.forEach(function (heading, column) {
      var numeric = heading.classList.contains("number");
      var button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append.apply(button, Array.from(heading.childNodes));
      heading.append(button);
      button.addEventListener("click", function () {
        var now = heading.getAttribute("aria-sort");
        var next = now ? (now === "ascending" ? "descending" : "ascending") : (numeric ? "descending" : "ascending");
        headings.forEach(function (other) { other.removeAttribute("aria-sort"); });
        heading.setAttribute("aria-sort", next);
        order(Array.from(body.rows), column, numeric, next === "ascending" ? 1 : -1).forEach(function (pair) {
          body.append(pair[1]);
        });
      });
    });
  }
  document.addEventListener("DOMContentLoaded", function () {
    document.querySelectorAll("table.sortable").forEach(prepare);
  });
}());
