"""Prototypes from debug information: a legacy solver built with -g, whose inner static function is the task."""
import json
import os
import subprocess

from harness import contains, equal, lacks

SOLVER = r"""
#include <stdio.h>
#include <stdlib.h>

static __attribute__((noinline, noclone)) double relax(const double *grid, int n, double *out, double tol, int verbose)
{
    FILE *f = fopen(getenv("BODY_LOG"), "a");
    double s = 0;
    fputs("relax\n", f);
    fclose(f);
    if (verbose > 1)
        puts("relaxing");
    for (int i = 0; i < n; i++) {
        out[i] = grid[i] * tol;
        s += out[i];
    }
    return s;
}

int main(int argc, char **argv)
{
    double grid[5] = {1, 2, 3, 4, argc}, out[5] = {0};
    for (int i = 0; i < 3; i++)
        printf("%.17g", relax(grid, 3 + (i + argc) % 3, out, 0.5 + i, argc));
    printf(" %g %g\n", out[0], out[2]);
    return 0;
}
"""

CONFIG = """
tasks:
  - symbol: relax
    params:
      grid: in [n]
      out: out [n]
    cache_policy: INPUTS + TASK_SOURCE - verbose
    success: 'return > 0'
"""


def replays(t, program, config):
    bare = t.bare([program])
    t.bodies()
    for bodies in (3, 0):
        r = t.run([program], config)
        equal((r.out, r.err), (bare.out, b""))
        equal(t.bodies(), bodies)
    r = t.preload([program], config)
    equal((r.out, r.err), (bare.out, b""))
    equal(t.bodies(), 0, "by hand")


def solver(compiler, level):
    def f(t):
        program = t.cc(SOLVER, "solver", flags=("-g", level), compiler=compiler)
        config = t.config(CONFIG)
        replays(t, program, config)
        t.run([program, "more"], config)
        equal(t.bodies(), 3, "the first grid point differs")
        found = json.loads(t.ctl("doctor", "-c", config, "--json", program).out)["tasks"][0]
        equal(found["prototype"],
              "double relax(const double grid[n], int n, out double out[n], double tol, int verbose)")
        equal(found["policy"], "INPUTS + TASK_SOURCE - verbose")
        records = t.records(config)
        key = (records["records"] if isinstance(records, dict) else records)[0]["key"]
        shown = t.ctl("show", "-c", config, key).text
        contains(shown, "double relax(const double grid[n]")
        contains(shown, "tol")

    return f


def tests():
    for compiler in ("gcc", "clang"):
        for level in ("-O0", "-O1", "-O2"):
            yield f"debug_information: a static function by params alone, {compiler} {level}", solver(compiler, level)


def test_a_debug_file_that_is_installed_later_counts(t):
    program = t.cc(SOLVER, "solver", flags=("-g", "-O1"))
    config = t.config(CONFIG)
    debug = t.dir / "solver.debug"
    subprocess.run(["objcopy", "--only-keep-debug", program, debug], check=True)
    subprocess.run(["strip", program], check=True)
    subprocess.run(["objcopy", f"--add-gnu-debuglink={debug}", program], check=True)
    os.rename(debug, t.dir / "elsewhere")
    t.run([program], config)
    equal(t.bodies(), 3)
    t.run([program], config)
    equal(t.bodies(), 3, "it has no name")
    os.rename(t.dir / "elsewhere", debug)
    replays(t, program, config)


def test_what_is_missing_is_named_with_the_line_to_paste(t):
    program = t.cc(SOLVER, "solver", flags=("-g", "-O1"))
    config = t.config("tasks:\n  - symbol: relax\n    cache_policy: INPUTS\n")
    r = t.run([program], config)
    contains(r.errors, "extent-missing")
    contains(r.errors, "params: { grid: 'in [n]', out: 'inout [n]' }")
    text = t.ctl("doctor", "-c", config, program, status=1).text
    contains(text, "try: params: { grid: 'in [n]', out: 'inout [n]' }")


def test_without_debug_information_the_prototype_is_missing(t):
    program = t.cc(SOLVER, "solver", flags=("-O1",))
    r = t.run([program], t.config(CONFIG))
    contains(r.errors, "prototype-missing")
    lacks(r.errors, "extent-missing")


def test_init_writes_a_config_that_works(t):
    program = t.cc(SOLVER, "solver", flags=("-g", "-O1"))
    config = str(t.dir / "made.yaml")
    text = t.ctl("init", program, "relax").text
    contains(text, "# double relax(const double *grid, int n, double *out, double tol, int verbose)")
    contains(text, "grid: 'in [n]'    # CHECK")
    where = t.config(f"cache: {{ path: {t.dir}/there }}\n", "where.yaml")
    equal(t.ctl("init", "-c", where, program, "relax", env={"HOME": None, "XDG_CACHE_HOME": None}).text, text)
    t.ctl("init", "-c", t.config("tusks:\n", "wrong.yaml"), program, "relax", status=2)
    t.ctl("init", "-o", config, program, "relax")
    equal(open(config).read(), text)
    contains(t.ctl("init", "-o", config, program, "relax", status=2).errors, "it is there already")
    with open(config, "w") as f:
        f.write(text.replace("'inout [n]'", "'out [n]'"))
    replays(t, program, config)


def test_init_says_what_it_leaves_out(t):
    program = t.cc(SOLVER, "solver", flags=("-g", "-O1"))
    r = t.ctl("init", program, "relax", "missing", status=1)
    contains(r.text, "symbol: 'relax@solver'")
    contains(r.errors, "cachectl: missing: not-found")
    lacks(r.text, "missing")
    equal(t.ctl("init", program, status=2).text, "")
