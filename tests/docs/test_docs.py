"""What the documentation says is so: pages for every command and option, ids that exist, links that lead somewhere."""
import pathlib
import re
import subprocess
import sys

from harness import Failure, ROOT, contains, equal

DOCS = ROOT / "docs"


def commands(t):
    text = t.ctl("--help").text
    return re.findall(r"^  ([a-z]+)  ", text, re.M)


def test_every_command_and_option_has_its_man_page(t):
    found = commands(t)
    if len(found) < 8:
        raise Failure(f"only {found}")
    for c in found:
        page = (DOCS / "man" / f"cachectl-{c}.1.md").read_text()
        for option in re.findall(r"(--[a-z][a-z-]+)", t.ctl(c, "--help").text):
            if option in ("--json", "--color", "--help", "--config"):
                page += (DOCS / "man" / "cachectl.1.md").read_text()
            if f"{option}" not in page and f"**-{option[2]}**" not in page and f"`-{option[2]}`" not in page:
                raise Failure(f"cachectl-{c}: {option} isn't documented")


def test_every_reason_is_documented(t):
    r = subprocess.run([sys.executable, ROOT / "scripts" / "reasons.py", "--check"], capture_output=True, text=True, check=False)
    equal((r.returncode, r.stderr), (0, ""))


def test_reasons_named_in_the_documents_exist(t):
    known = set(re.findall(r'"([a-z0-9-]+)", TC_KIND', (ROOT / "cache" / "reasons.def").read_text()))
    for page in DOCS.glob("*.md"):
        for name in re.findall(r"\(`([a-z]+-[a-z-]+)`\)", page.read_text()):
            if name not in known:
                raise Failure(f"{page.name}: `{name}` is no reason")


def test_links_lead_somewhere(t):
    for page in [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "bench").glob("*.md"), *(ROOT / "tests").rglob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in link and not (page.parent / link).exists():
                raise Failure(f"{page.relative_to(ROOT)}: {link} leads nowhere")


def test_the_readme_names_what_there_is(t):
    text = (ROOT / "README.md").read_text()
    for c in re.findall(r"(?:^\$ |`)cachectl ([a-z]+)", text, re.M):
        if c not in commands(t):
            raise Failure(f"README.md: there is no cachectl {c}")
    for name in ("demo.sh", "test.sh"):
        contains(text, f"./{name}")


def test_the_environment_is_documented(t):
    page = (DOCS / "config.md").read_text()
    code = "".join(p.read_text() for p in [*(ROOT / "preload").rglob("*.c"), *(ROOT / "cache").glob("*.c"), *(ROOT / "tools").glob("*.c")])
    for name in sorted(set(re.findall(r'"(TASKCACHE_[A-Z_]+)"', code))):
        if name not in ("TASKCACHE_CLOCK_FILE", "TASKCACHE_TEST_DEADLINE_MS"):  # test builds only
            contains(page, name)
            contains((DOCS / "man" / "libtaskcache.7.md").read_text(), name)


def test_every_key_of_a_task_is_documented(t):
    keys = re.findall(r'^ *X\([A-Z_]+, "([a-z_]+)"', (ROOT / "service" / "resolve" / "config_schema.h").read_text(), re.M)
    if len(keys) < 20:
        raise Failure(f"only {keys}")
    page = (DOCS / "config.md").read_text()
    for key in keys:
        if not re.search(rf"^\|[^|]*`{key}`", page, re.M):
            raise Failure(f"docs/config.md has no row for `{key}`")


def test_every_decision_is_listed(t):
    listed = (DOCS / "decisions" / "README.md").read_text()
    for page in sorted((DOCS / "decisions").glob("0*.md")):
        contains(listed, f"({page.name})")


def test_tables_have_as_many_cells_as_columns(t):
    for page in [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]:
        columns = 0
        for number, line in enumerate(page.read_text().splitlines(), 1):
            cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
            if cells and columns and cells != columns:
                raise Failure(f"{page.relative_to(ROOT)}:{number}: {cells - 1} cells instead of {columns - 1}")
            columns = cells


def test_no_paths_of_a_machine_are_in_the_tree(t):
    files = [f for f in ROOT.rglob("*") if f.is_file() and not re.match(r"build|\.git/|.*__pycache__", str(f.relative_to(ROOT)))]
    for name in files:
        text = name.read_bytes()
        if str(ROOT.parent).encode() + b"/" in text and len(str(ROOT.parent)) > 4:
            raise Failure(f"{name} names {ROOT.parent}")
    assert pathlib.Path(ROOT).exists()


def test_the_rules_name_cases_that_exist(t):
    """In tests/conformance/RULES.md; and each case of the specification's list, and of its rules, stands there."""
    here = ROOT / "tests" / "conformance"
    cases = set(re.findall(r"^((?:[A-Z]\d\d|[a-z]+-\d\d)[a-z-]*) ", (here / "cases.txt").read_text(), re.M))
    named = set()
    for line in (here / "RULES.md").read_text().splitlines():
        cell = re.sub(r"`[^`]*`", "", line.split("|")[2]) if line.count("|") == 3 else ""
        named |= set(re.findall(r"\b(?:[A-Z]\d\d|[a-z]+-\d\d)[a-z-]*", cell))
        for family, first, last in re.findall(r"\b([a-z]+-)(\d\d) to [a-z]+-(\d\d)", cell):
            named |= {f"{family}{n:02}" for n in range(int(first), int(last) + 1)}
    if len(named) < 150:
        raise Failure(f"only {len(named)} ids found")
    equal(sorted(named - cases), [], "named, but no case")
    rest = sorted(c for c in cases - named if re.match(r"(on|ref|run|sum|key|iso|txn|hdr|async)-", c))
    if rest:
        raise Failure(f"cases that no rule names: {rest}")
