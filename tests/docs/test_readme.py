"""The README's words, done by somebody who has a solver in a library."""
import json
import re

from harness import Failure, ROOT, contains, equal

LIBRARY = r"""
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
double simulate(const double *grid, size_t n, double *field, int debug)
{
    FILE *log = fopen(getenv("BODY_LOG"), "a");
    double sum = 0;
    fputs("simulate\n", log);
    fclose(log);
    for (size_t i = 0; i < n; i++)
        sum += field[i] = grid[i] * grid[i] + (debug ? 0 : 0);
    return sum;
}
"""
PROGRAM = r"""
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
double simulate(const double *grid, size_t n, double *field, int debug);
int main(int argc, char **argv)
{
    double grid[3] = {1, 2, argc > 1 ? atof(argv[1]) : 3}, field[3];
    double sum = simulate(grid, 3, field, argc > 2);
    printf("%g: %g %g %g\n", sum, field[0], field[1], field[2]);
    return 0;
}
"""


def readme_config():
    return re.search(r"```yaml\n# taskcache.yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.S).group(1)


def test_the_example_of_the_readme(t):
    library = t.write("solver.c", LIBRARY)
    t.execute(["gcc", "-O2", "-shared", "-fPIC", "-Wl,-soname,libsolver.so.1", "-o", t.dir / "libsolver.so.1", library])
    (t.dir / "libsolver.so").symlink_to("libsolver.so.1")
    program = t.cc(PROGRAM, "program", ("-O2", f"-L{t.dir}", "-lsolver", f"-Wl,-rpath,{t.dir}"))
    config = t.config(readme_config())
    contains(t.ctl("doctor", "-c", config, program).text, "simulate@libsolver.so.1")
    bare = t.bare([program])
    t.bodies()
    for expected in (1, 0):
        equal(t.run([program], config).out, bare.out)
        equal(t.bodies(), expected)
    equal(t.run([program, "3", "debug"], config).out, bare.out)
    equal(t.bodies(), 0, "debug is left out")
    t.run([program, "4"], config)
    equal(t.bodies(), 1)
    contains(t.ctl("stats", "-c", config).text, "Hits")
    records = t.records(config)
    equal(len(records), 2)
    shown = t.ctl("show", "-c", config, records[0]["key"][:8]).text
    for part in ("grid", "field", "double[3]"):
        contains(shown, part)
    # Relative names, from the directory itself, as people type.
    equal(t.execute([t.cachectl, "run", "--", "./program"], cwd=t.dir).out, bare.out)
    equal(t.bodies(), 0)
    t.ctl("rm", "-c", config, "simulate*")
    equal(t.records(config), [])
    s = json.loads(t.ctl("stats", "-c", config, "--json").out)
    if list(s)[:5] != ["hits", "misses", "bypasses", "time_saved_ns", "size_bytes"]:
        raise Failure(list(s))


def test_stats_of_one_run(t):
    program = t.cc("#include <stdio.h>\n__attribute__((noinline, noclone)) int f(int x) { for (int i = 0; i < 9; i++) __asm__ volatile(\"\" : \"+r\"(x)); return x * 77 + 1; }\nint main(void) { printf(\"%d\\n\", f(1) + f(1)); }\n", "p")
    config = t.config("tasks:\n  - symbol: f\n    prototype: |\n      int f(int x)\n    cache_policy: INPUTS\n  - symbol: never_called@libnone.so\n    prototype: |\n      int never_called(int x)\n    cache_policy: INPUTS\n")
    r = t.run([program], config, options=["--stats"])
    equal(r.text, "156\n")
    for part in ("Hits", "Misses", "never_called"):
        contains(r.errors, part)
    t.run([program], config, options=[f"--stats={t.dir}/stats.json"])
    s = json.loads((t.dir / "stats.json").read_text())
    equal((s["hits"], s["misses"]), (2, 0))
