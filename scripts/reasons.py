#!/usr/bin/python3
"""Writes docs/reasons.md from cache/reasons.def: every id with its sentence and its remedy."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
KINDS = {
    "TC_KIND_REFUSAL": ("Tasks that aren't hooked", "Shown by `cachectl doctor`, and as a warning by `cachectl run`."),
    "TC_KIND_BYPASS": ("Calls that ran without the cache, or whose result wasn't kept", "Counted by `cachectl stats -v`; told in the log at level debug, mistakes once as an error."),
    "TC_KIND_INPUT": ("What people write", "Errors stop `cachectl run` (125) before the program runs; a program that is preloaded by hand runs uncached."),
    "TC_KIND_SERVICE": ("Storage and service", "One warning, and the program runs uncached."),
    "TC_KIND_ADVICE": ("What a function depends on", "Advice by `cachectl doctor`, from the names to which the function's code refers."),
}
STRING = r'"((?:[^"\\]|\\.)*)"'


def reasons():
    text = (ROOT / "cache" / "reasons.def").read_text()
    for m in re.finditer(r"TC_REASON\(\s*(\w+),\s*" + STRING + r",\s*(\w+),\s*((?:" + STRING + r"\s*)+),\s*((?:" + STRING + r"\s*)+)\)", text):
        sentence = "".join(re.findall(STRING, m.group(4))).replace('\\"', '"')
        remedy = "".join(re.findall(STRING, m.group(6))).replace('\\"', '"')
        yield m.group(2), m.group(3), sentence, remedy


def cell(text):
    """A bar would end the cell, in code too."""
    return text.replace("|", "\\|")


def render():
    out = ["# Reasons", "", "Every message names one of these ids. `scripts/reasons.py` writes this page from `cache/reasons.def`.", ""]
    for kind, (title, text) in KINDS.items():
        out += [f"## {title}", "", text, "", "| id | what it means | what to do |", "|---|---|---|"]
        for identity, k, sentence, remedy in reasons():
            if k == kind and not identity.startswith("reserved-"):
                out.append(f"| `{identity}` | {cell(sentence)} | {cell(remedy)} |")
        out.append("")
    return "\n".join(out)


if __name__ == "__main__":
    page = ROOT / "docs" / "reasons.md"
    if "--check" in sys.argv:
        sys.exit(0 if page.read_text() == render() else "docs/reasons.md is out of date: run scripts/reasons.py")
    page.write_text(render())
