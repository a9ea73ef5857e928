"""The ledger of energy, with costs that a reader can change."""

from __future__ import annotations

import math

from markupsafe import Markup, escape

from brianlearn.report.page.blocks import Html, Note, Section, Table
from brianlearn.report.run.view import RunView
from brianlearn.training.energy import EnergyEntry, EnergyTable, energy_ledger

__all__ = ["energy", "significant"]

#: What the page computes anew when a cost is changed: the last column of the table, from its other ones.
SCRIPT = """<script>
(function () {
  var table = document.getElementById("ledger"), inputs = document.querySelectorAll(".costs input");
  function update() {
    var cost = {}, total = 0;
    inputs.forEach(function (input) { cost[input.name] = Math.max(0, Number(input.value) || 0); });
    Array.prototype.forEach.call(table.tBodies[0].rows, function (row) {
      var n = row.querySelector("[data-counts]"), at = row.cells[row.cells.length - 1], sum;
      if (n) {
        var c = JSON.parse(n.getAttribute("data-counts"));
        sum = c.add * cost.add + c.multiply * cost.multiply + c["function"] * cost["function"] + c.byte * cost.byte;
        if (n.hasAttribute("data-part")) { total += sum; }
      } else { sum = total; }
      at.textContent = (sum / 1000).toLocaleString("en", {maximumSignificantDigits: 4, minimumSignificantDigits: 4});
    });
  }
  inputs.forEach(function (input) { input.addEventListener("input", update); });
}());
</script>"""


def energy(view: RunView, table: EnergyTable | None = None) -> Section:
    """What one sample would cost, by layer."""
    section = Section("energy", "Energy ledger")
    if view.tested is None:
        return section
    ledger = energy_ledger(view.spec, view.tested, dtype=view.config["dtype"], table=table)
    costs = "\n".join(
        f'<label>{name} <input name="{name}" type="number" min="0" step="any" '
        f'value="{getattr(ledger.table, name):g}"> pJ</label>'
        for name in EnergyTable.costs()
    )
    rows = [_row(entry, part=True) for entry in ledger.entries]
    rows.append(["all", "", "", "", "", "", "", significant(ledger.picojoules / 1000)])
    rows.append(_row(ledger.dense, part=False))
    return section.with_blocks(
        Html(f'<div class="costs" role="group" aria-label="costs of operations">{costs}</div>'),
        Table(
            f"One sample, as a mean over {ledger.samples} test samples with {ledger.spikes:,.0f} spikes each",
            ["", "of", "events", "additions", "multiplications", "functions", "bytes", "nJ"],
            rows,
            (2, 3, 4, 5, 6, 7),
            name="ledger",
        ),
        Note(
            "Events are counted, costs are assumed: change them above, and the last column follows. A synaptic event "
            "is a spike that reaches a synapse: it adds a weight to a variable of its target. A neuron's event is its "
            "update in one step. Encoders, resets and learning are not counted. The last line is an artificial network "
            f"with the same synapses, each used once. Costs: {ledger.table.source}."
        ),
        Html(SCRIPT),
    )


def significant(x: float) -> str:
    """A number with four digits that say something, and commas: ``"247,800"``, ``"24.78"``."""
    digits = 3 - math.floor(math.log10(x)) if x > 0 else 3
    return f"{round(x, digits):,.{max(digits, 0)}f}"


def _row(entry: EnergyEntry, *, part: bool) -> list[object]:
    counts = (
        f'{{"add": {entry.adds}, "multiply": {entry.multiplies}, "function": {entry.functions}, "byte": {entry.bytes}}}'
    )
    mark = " data-part" if part else ""
    events = Markup(f'<span data-counts="{escape(counts)}"{mark}>{entry.events:,.0f}</span>')
    numbers = (entry.adds, entry.multiplies, entry.functions, entry.bytes)
    return [entry.name, entry.kind, events, *(f"{n:,.0f}" for n in numbers), significant(entry.picojoules / 1000)]
