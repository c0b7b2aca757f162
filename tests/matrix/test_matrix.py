"""Compilers and flags: what each does to the entry, the linkage and the callers of a task, and all that a prototype can pass.

A cell is one build of values.c (C and C++) or values.f90: bare, missed and hit give the same output, hits run no body but those
that never return, and nothing is refused. By default a slice in which every two options of two axes meet; --long: all levels,
linkages, languages and places by each compiler, with no flag, each flag alone, and all of them together.
"""
import collections
import itertools
import json
import random

import harness
from harness import Failure, TESTS, equal

HERE = TESTS / "matrix"
FLAGS = {
    "lto": ("-flto",),
    "cet": ("-fcf-protection=full",),
    "noplt": ("-fno-plt",),
    "bsymbolic": ("-Wl,-Bsymbolic",),
    "pads": ("-fpatchable-function-entry=16,14",),
    "pg": ("-pg",),
    "sections": ("-ffunction-sections", "-Wl,--gc-sections"),
}
AXES = {
    "compiler": ("gcc", "clang"),
    "level": ("-O0", "-O1", "-O2", "-O3", "-Os", "-Ofast"),
    "pie": ("pie", "no-pie"),
    "link": ("static", "hidden", "exported"),
    "place": ("executable", "library"),
    "language": ("c", "c++", "fortran"),
    **{name: ("", name) for name in FLAGS},
}
# Fortran has no way to say that a procedure is to be compiled as it is written.
AS_WRITTEN = ["-fno-inline", "-fno-ipa-cp", "-fno-ipa-sra", "-fno-ipa-icf"]
LINKS = {"static": "static", "hidden": '__attribute__((visibility("hidden")))', "exported": ""}
DRIVERS = {("gcc", "c"): "gcc", ("gcc", "c++"): "g++", ("clang", "c"): "clang", ("clang", "c++"): "clang++"}
# Bodies that end by longjmp or an exception, in two rounds; m_errno returns, and is kept.
NEVER_KEPT = {"c": {"m_jumps": 2}, "c++": {"m_jumps": 2}, "fortran": {}}


def exists(cell):
    """Fortran has one compiler here, and its procedures are all exported."""
    return cell.get("language") != "fortran" or (cell.get("compiler", "gcc"), cell.get("link", "exported")) == ("gcc", "exported")


def meetings(cell):
    return set(itertools.combinations(sorted(cell.items()), 3))


def complete(part, chance):
    """A whole cell at random that holds these options."""
    cell = {name: part.get(name) or chance.choice(AXES[name]) for name in AXES}
    cell.update(part)
    if not exists(cell):
        cell.update(language=part.get("language", "c"))
    if not exists(cell):
        cell.update(compiler="gcc", link="exported")
    return cell


def covering():
    """Few cells in which all possible meetings occur; the same ones each time."""
    chance = random.Random(1)
    wanted = set()
    for axes in itertools.combinations(sorted(AXES), 3):
        for values in itertools.product(*(AXES[a] for a in axes)):
            part = tuple(zip(axes, values))
            if exists(dict(part)):
                wanted.add(part)
    cells = []
    while wanted:
        part = dict(min(wanted))
        best = max((complete(part, chance) for _ in range(40)), key=lambda cell: len(meetings(cell) & wanted))
        cells.append(best)
        wanted -= meetings(best)
    return cells


def everything():
    names = [n for n in AXES if n not in FLAGS]
    for values in itertools.product(*(AXES[n] for n in names)):
        for chosen in ((), *((f,) for f in FLAGS), tuple(FLAGS)):
            cell = {**dict(zip(names, values)), **{f: f if f in chosen else "" for f in FLAGS}}
            if exists(cell):
                yield cell


def compile_values(t, cell, flags):
    """The objects of the side where the tasks are."""
    link = f"-DLINK={LINKS[cell['link']]}"
    if cell["language"] == "fortran":
        fortran, ran = str(t.dir / "values.o"), str(t.dir / "ran.o")
        t.execute(["gfortran", "-w", *flags, "-c", "-o", fortran, HERE / "values.f90"])
        t.execute(["gcc", "-w", *flags, "-c", "-o", ran, HERE / "ran.c"])
        return [fortran, ran]
    driver = DRIVERS[cell["compiler"], cell["language"]]
    out = str(t.dir / "values.o")
    t.execute([driver, "-w", *(("-x", "c++") if cell["language"] == "c++" else ()), *flags, link, "-c", "-o", out, HERE / "values.c"])
    return [out]


def build(t, cell):
    flags = [cell["level"], *itertools.chain.from_iterable(FLAGS[f] for f in FLAGS if cell[f] and not f == "bsymbolic")]
    if cell["language"] == "fortran":
        flags += AS_WRITTEN
    compile_flags = [f for f in flags if not f.startswith("-Wl")]
    link_flags = flags + (["-Wl,-Bsymbolic"] if cell["bsymbolic"] else [])
    code = ["-fPIE"] if cell["pie"] == "pie" else ["-fno-pie"]
    kind = ["-pie"] if cell["pie"] == "pie" else ["-no-pie"]
    driver = "gfortran" if cell["language"] == "fortran" else DRIVERS[cell["compiler"], cell["language"]]
    program, main = str(t.dir / "program"), str(t.dir / "main.o")
    exported = ["-DEXPORTED"] if cell["link"] == "exported" and cell["language"] != "fortran" else []
    t.execute([DRIVERS[cell["compiler"], "c"], "-w", *compile_flags, *code, *exported, "-c", "-o", main, HERE / "main.c"])
    if cell["place"] == "executable":
        t.execute([driver, "-w", *link_flags, *kind, "-o", program, main, *compile_values(t, cell, [*compile_flags, *code])])
    else:
        library = str(t.dir / "libvalues.so")
        t.execute([driver, "-w", *link_flags, "-shared", "-o", library, *compile_values(t, cell, [*compile_flags, "-fPIC"])])
        t.execute([driver, "-w", *link_flags, *kind, "-o", program, main, library, "-Wl,-rpath,$ORIGIN"])
    return program


def bodies(t):
    """By name, since the last question."""
    names = t.body_log.read_text().split() if t.body_log.exists() else []
    t.body_log.unlink(missing_ok=True)
    return collections.Counter(names)


def refused(t, config, program):
    tasks = json.loads(t.ctl("doctor", "--json", "-c", config, program, status=None).out)["tasks"]
    return {f"{x['task']}: {x.get('reason')}: {x.get('sentence')}" for x in tasks if x["state"] != "hookable"}


def run_cell(t, cell):
    program = build(t, cell)
    config = t.config((HERE / ("fortran.yaml" if cell["language"] == "fortran" else "tasks.yaml")).read_text())
    bare = t.bare([program])
    executed = bodies(t)
    first = t.run([program], config)
    missed = bodies(t)
    second = t.run([program], config)
    hit = bodies(t)
    for r in (first, second):
        equal((r.status, r.out, r.err), (bare.status, bare.out, bare.err), f"refused: {refused(t, config, program)}")
    for name, times in executed.items():
        kept = NEVER_KEPT[cell["language"]].get(name, 0)
        if not kept <= missed[name] < max(times, kept + 1):
            raise Failure(f"{name} ran {times} times bare, {missed[name]} times on the first run; refused: {refused(t, config, program)}")
    equal(dict(hit), NEVER_KEPT[cell["language"]], "bodies of the second run")


def run_by_symbols(t, cell):
    """The same through symbols: which calls are seen depends on the cell, but main()'s are."""
    text = (t.dir / "taskcache.yaml").read_text().replace("defaults:\n", "defaults:\n  hook: got\n")
    config, program = t.config(text, "got.yaml"), str(t.dir / "program")
    bare = t.bare([program])
    executed = bodies(t)
    cache = t.dir / "got-cache"
    cache.mkdir(mode=0o700)
    counts = []
    for _ in range(2):
        r = t.run([program], config, env={"TASKCACHE_DIR": cache})
        equal((r.status, r.out, r.err), (bare.status, bare.out, bare.err), "by symbols")
        counts.append(bodies(t))
    for name in ("m_small", "m_sum"):
        if not counts[1][name] < counts[0][name] <= executed[name]:
            raise Failure(f"by symbols, {name}: {executed[name]} bodies bare, {[c[name] for c in counts]} with a cache")


def cell_test(cell):
    def f(t):
        run_cell(t, cell)
        if cell["link"] == "exported" and cell["place"] == "library" and cell["language"] != "fortran":
            run_by_symbols(t, cell)

    return f


def tests():
    cells = everything() if harness.LONG else covering()
    for cell in cells:
        yield "matrix: " + " ".join(v for v in cell.values() if v), cell_test(cell)
