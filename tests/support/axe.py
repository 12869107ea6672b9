"""The rules of axe-core (`tests/vendor/axe-core`) as a script that a browser runs: every violation with what it is and where."""

from tests.support.paths import ROOT

GRAVE = ("serious", "critical")

AXE = (ROOT / "tests" / "vendor" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
CHECK = (
    AXE + "\nreturn axe.run(document, { resultTypes: ['violations'] }).then(found => found.violations.map(rule => ({"
    " id: rule.id, impact: rule.impact, help: rule.help,"
    " places: rule.nodes.slice(0, 5).map(node => node.target.join(' ') + ': ' + node.any.concat(node.all, node.none)"
    "   .map(check => check.message).join('; ')) })))"
)


def grave(browser):
    """What a browser's page does gravely wrong."""
    return [rule for rule in browser.run(CHECK) if rule["impact"] in GRAVE]
