"""Calls of random prototypes: executed bare, then cached, then replayed, all with the same bytes.

Programs are built by gcc and clang, and by one calling the other. TASKCACHE_ABI_SEED repeats one program."""
import importlib.util
import os
import pathlib
import random
import shutil

from harness import Failure, equal

spec = importlib.util.spec_from_file_location("abi_generate", pathlib.Path(__file__).parent / "generate.py")
generate = importlib.util.module_from_spec(spec)
spec.loader.exec_module(generate)

FUNCTIONS = 100  # of one program
PROGRAMS, PROGRAMS_LONG = 20, 200
BUILDS = [("gcc", "gcc", "-O2"), ("clang", "clang", "-O2"), ("gcc", "clang", "-O1"), ("clang", "gcc", "-O0"),
          ("gcc", "gcc", "-O0"), ("clang", "clang", "-O1"), ("gcc", "gcc", "-O3")]
DWARF = ["-gdwarf-5", "-gdwarf-4"]


def from_debug_information(seed):
    """Every third program's types come from its debug information."""
    return seed % 3 == 0


def compile_program(t, g, build, debug):
    caller, callee, level = build
    for name, text, compiler in (("main", g.main(), caller), ("body", g.bodies(), callee)):
        source = t.write(f"{name}.c", text)
        t.execute([compiler, "-w", level, *debug, "-c", "-o", f"{name}.o", source])
    t.execute(["gcc", "-rdynamic", "-o", "program", "main.o", "body.o"])
    return str(t.dir / "program")


def compilers_agree(t, g, build, debug, program):
    """A program whose halves don't fit together without us says nothing about us."""
    mixed = t.bare([program, "aa"], status=None)
    alone = t.bare([compile_program(t, g, (build[0], build[0], build[2]), debug), "aa"])
    t.bodies()
    if (mixed.status, mixed.out) != (0, alone.out):
        return False
    compile_program(t, g, build, debug)
    return True


def run_one(t, seed):
    g = generate.Generator(seed, FUNCTIONS, not from_debug_information(seed))
    build = BUILDS[seed % len(BUILDS)] if shutil.which("clang") else ("gcc", "gcc", "-O2")
    try:
        debug = [DWARF[seed // 3 % len(DWARF)]] if from_debug_information(seed) else []
        program = compile_program(t, g, build, debug)
        if build[0] != build[1] and not compilers_agree(t, g, build, debug, program):
            build = (build[0], build[0], build[2])
            program = compile_program(t, g, build, debug)
        text = g.config()
        config = t.config(text[text.index("tasks:\n"):] if debug else text)
        expected = t.bare([program, "aa"]).text.splitlines()
        equal(t.bodies(), 2 * FUNCTIONS, "bare run")
        for what, arguments in (("miss", ["aa"]), ("hit", ["55", "hit"])):
            run = t.run([program, *arguments], config)
            got = run.text.splitlines()
            # A layout that no declaration gives is an unknown type.
            refused = run.errors.count("place-uncertain: ") + (run.errors.count("C's rules don't lay") if debug else 0)
            bodies = t.bodies() - 2 * refused
            # Debug information shows packed structs by their layout alone, and rarely leaves places open.
            if run.errors.count("where structs are passed") > 8:
                raise Failure(run.errors)
            if refused > FUNCTIONS // (5 if debug else 8) or run.errors.count("warning: ") != refused:
                raise Failure(run.errors)
            for line, want in zip(got, expected):
                equal(line, want, f"{what}: {describe(g, want)}")
            equal(len(got), len(expected), what)
            # What points at a struct of unknown layout has no key; each call of it ran in both runs.
            opaque = t.stats(config)["bypass_reasons"].get("opaque-input", 0) // 2 if debug and bodies else 0
            if what == "hit" and bodies != opaque:
                raise Failure(f"{bodies} bodies ran again: {t.stats(config)}\n{t.run([program, 'aa'], config, options=['--stats']).errors}")
            if what == "miss" and bodies < FUNCTIONS - refused:
                raise Failure(f"only {bodies} bodies ran")
        tweaked(t, g, program, config)
    except Failure as e:
        raise Failure(f"TASKCACHE_ABI_SEED={seed} ./test.sh abi, built by {' and '.join(build)}\n{e}") from e


def tweaked(t, g, program, config):
    """One byte or bit changed of what a pointer leads to through another: another call, missed and then hit."""
    bare = t.bare([program, "aa", "tweak"])
    t.bodies()
    for what in ("miss", "hit"):
        run = t.run([program, "aa" if what == "miss" else "55", "tweak"], config)
        for line, want in zip(run.text.splitlines(), bare.text.splitlines()):
            equal(line, want, f"tweaked, {what}: {describe(g, want)}")
        equal(len(run.text), len(bare.text), what)


def describe(g, line):
    for f in g.functions:
        if line.startswith(f[0] + ":"):
            return g.declaration(*f, True) + "\n" + g.types()
    return line


def tests():
    long = "--long" in os.sys.argv
    given = os.environ.get("TASKCACHE_ABI_SEED")
    # Where CI says so always the same ones: what is new to nobody's change shouldn't fail it.
    first = 1000 if os.environ.get("CI") else random.SystemRandom().randrange(1 << 30)
    seeds = [int(given)] if given else [first + i for i in range(PROGRAMS_LONG if long else PROGRAMS)]
    return [(f"prototypes of seed {seed}", lambda t, seed=seed: run_one(t, seed)) for seed in seeds]
