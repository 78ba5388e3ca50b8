"""The diagrams of docs/architecture.md are the code's."""

from tests.conftest import ROOT
from tests.made import architecture


def drawn() -> list[str]:
    """Diagrams as they stand in the page."""
    return [f"```{part}```" for part in architecture.PAGE.read_text(encoding="utf-8").split("```")[1::2]]


def test_the_diagram_of_rooms_is_the_code_s():
    words = {room: text for room, text in architecture.ROOMS.items() if room in architecture.rooms()}
    assert set(architecture.rooms()) == set(words), "each room is described"
    assert drawn()[0] == architecture.mermaid(architecture.shortest(architecture.imports_between_rooms()), words)


def test_the_diagram_of_rules_is_the_workflow_s(project):
    flows = architecture.flows_between_rules(project)
    adapters = {path.stem for path in (ROOT / "workflow" / "scripts").glob("*.py")} - {"_adapter"}
    assert {rule for pair in flows for rule in pair} == adapters, "the studies have all rules between them"
    assert drawn()[1] == architecture.mermaid(architecture.shortest(flows))


def test_what_follows_from_other_arrows_is_left_out():
    assert architecture.shortest({("a", "b"), ("b", "c"), ("a", "c"), ("d", "c")}) == {
        ("a", "b"),
        ("b", "c"),
        ("d", "c"),
    }
