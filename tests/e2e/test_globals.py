"""`globals:`: what a function reads and writes beside its parameters is captured and replayed."""
from harness import contains, equal, lacks

BODY = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static void body(const char *name)
{
    FILE *f = fopen(getenv("BODY_LOG"), "a");
    fprintf(f, "%s\n", name);
    fclose(f);
}
"""

PROGRAM = BODY + r"""
struct state { char tag; double t; int step; };
double residual;
static double grid[8];
static double *field;
static char *label = "a";
static int count = 3;
struct state state;
static unsigned char raw[3];

__attribute__((noinline, noclone)) static double solve(int n)
{
    double s = label[0];
    body("solve");
    for (int i = 0; i < n; i++)
        s += grid[i];
    for (int i = 0; i < count; i++) {
        s += field[i];
        field[i] *= 2;
    }
    residual = s / 7;
    state.step++;
    state.t += s;
    raw[1] = (unsigned char)n;
    if (n == 5)
        field += 1;
    return s;
}

static void reset(int round)
{
    static double memory[8];
    memset(&state, round, sizeof state);
    state.t = 0.5;
    state.step = 7;
    state.tag = 't';
    field = round % 2 ? memory : calloc(8, 8);
    for (int i = 0; i < 8; i++)
        grid[i] = i, field[i] = i + 1;
    label = strdup("label");
    count = 3;
    residual = -1;
    raw[0] = (unsigned char)round;
    raw[1] = 0;
}

static void show(double r)
{
    printf("%.17g %.17g %d %.17g %c |", r, residual, state.step, state.t, state.tag);
    printf(" %d %d %d |", raw[0], raw[1], raw[2]);
    for (int i = 0; i < 5; i++)
        printf(" %.17g", field[i]);
    printf("\n");
}

int main(void)
{
    for (int round = 0; round < 3; round++) {
        reset(round);
        show(solve(3));
        reset(round), grid[2] = 50, show(solve(3));
        reset(round), grid[3] = 50, show(solve(3)); /* behind the extent */
        reset(round), field[2] = 9, show(solve(3));
        reset(round), count = 4, show(solve(3));
        reset(round), label = "b", show(solve(3));
        reset(round), state.step = 1, show(solve(3));
        show(solve(3));
    }
    reset(0), show(solve(5));
    reset(0), show(solve(5));
    return 0;
}
"""

CALLS = 3 * 8 + 2
MISSES = 7 + 2  # the rounds but the first are replayed; what leads elsewhere afterwards isn't kept

WITH_DEBUG = """
tasks:
  - symbol: solve
    cache_policy: INPUTS
    success: 'residual != -1 && old(state.step) < state.step'
    globals:
      residual: out
      grid: 'in [n]'
      field: 'inout [count]'
      count: in
      label: in
      state: inout
      raw: 'inout [3]'
"""

BY_HAND = """
types: |
  struct state { char tag; double t; int step; };
tasks:
  - symbol: solve
    prototype: 'double solve(int n)'
    cache_policy: INPUTS
    globals:
      residual: out double
      program.c:grid: 'in double [n]'
      field: 'inout double (*)[count]'
      count: in int
      label: in const char *
      state: inout struct state
      raw: 'inout void [2]'
"""


def check(t, config, flags):
    config = t.config(config, "taskcache.yaml")
    p = t.cc(PROGRAM, "program", flags)
    bare = t.bare([p])
    equal(t.bodies(), CALLS)
    first = t.run([p], config)
    equal((first.out, first.errors), (bare.out, ""))
    ran = t.bodies()
    second = t.run([p], config)
    equal((second.out, second.errors), (bare.out, ""))
    return config, ran, t.bodies()


def test_globals_with_types_from_debug_information(t):
    # raw[0] is the round's number: each round's first call is another one.
    config, ran, again = check(t, WITH_DEBUG, ("-g", "-O2"))
    equal((ran, again), (3 * 7 + 2, 2))
    text = "\n".join(t.ctl("show", "-c", config, r["key"]).text for r in t.records(config))
    contains(text, "globals(out double residual, const double grid[n], inout double (*field)[count]")
    advice = t.ctl("doctor", "-c", config, str(t.dir / "program")).text
    lacks(advice, "uses-global")
    contains(advice, "writes-files")


def test_globals_with_written_types(t):
    for flags in (("-O2",), ("-O0", "-g"), ("-O2", "-no-pie", "-fno-pie")):
        _, ran, again = check(t, BY_HAND, flags)
        equal((ran, again), (3 * 7 + 2, 2), flags)
        t.ctl("rm", "-c", str(t.dir / "taskcache.yaml"), "--all")


def test_an_excluded_global_doesnt_count(t):
    config = BY_HAND.replace("cache_policy: INPUTS", "cache_policy: INPUTS - raw - nosuch")
    config = t.config(config)
    p = t.cc(PROGRAM, "program")
    r = t.run([p], config)
    contains(r.errors, "unknown-parameter")
    equal(t.bodies(), 7 + 2)
    equal(t.run([p], config).status, 0)
    equal(t.bodies(), 2)


LIBRARY = BODY + r"""
double residual;
int setting;
__thread int own;
const int fixed = 5;
extern int optind;
double solve(int n)
{
    body("solve");
    own++;
    residual = n * setting / 7.0 + optind + fixed;
    return n + setting;
}
double inner(int n) { return solve(n); }
"""

CALLER = r"""
#include <stdio.h>
#include <unistd.h>
extern double residual;
extern int setting;
double solve(int n);
int main(void)
{
    for (int i = 0; i < 6; i++) {
        residual = -1;
        setting = 3 + (i == 4);
        optind = 1 + (i == 5);
        double r = solve(2);
        printf("%.17g %.17g\n", r, residual);
    }
    return 0;
}
"""

SHARED = """
tasks:
  - symbol: solve@libglobals.so
    prototype: 'double solve(int n)'
    cache_policy: INPUTS
    globals: { residual: out double, setting: in int, optind: in int }
"""


def test_the_address_that_the_library_uses_counts(t):
    """The program's copy (COPY), the library's own, an interposer's, another library's."""
    config = t.config(SHARED)
    here = str(t.dir)
    other = t.cc("double residual = 77;\n", "libother.so", ("-O2", "-fPIC", "-shared"))
    for library in ((), ("-Wl,-Bsymbolic",)):
        t.cc(LIBRARY, "libglobals.so", ("-O2", "-fPIC", "-shared", *library))
        for flags in (("-no-pie", "-fno-pie"), ("-fPIE", "-pie", "-mno-direct-extern-access")):
            p = t.cc(CALLER, "caller", ("-O2", *flags, "-L" + here, "-lglobals", "-Wl,-rpath," + here))
            for interposer in ("", other):
                what = (library, flags, interposer)
                env = {"LD_PRELOAD": f"{t.library} {interposer}"}
                bare = t.bare([p], env={"LD_PRELOAD": interposer})
                equal(t.bodies(), 6, what)
                run = t.preload([p], config, env=env)
                equal((run.out, run.errors), (bare.out, ""), what)
                ran = t.bodies()
                run = t.preload([p], config, env=env)
                equal((run.out, run.errors), (bare.out, ""), what)
                equal(t.bodies(), 0, what)
                t.ctl("rm", "-c", config, "--all")
                equal(ran, 2 if library and "-no-pie" in flags else 3, what)


def test_globals_that_cant_be_used_are_refused(t):
    t.cc(LIBRARY, "libglobals.so", ("-O2", "-fPIC", "-shared"))
    p = t.cc(CALLER, "caller", ("-O2", "-L" + str(t.dir), "-lglobals", "-Wl,-rpath," + str(t.dir)))
    bare = t.bare([p])
    t.bodies()
    for text, reason, detail in (
        ("residual: out long, setting: in short", "global-unusable", "'setting' has 4 bytes, and is said to have 2"),
        ("fixed: out int", "global-unusable", "'fixed' can't be written"),
        ("own: in int", "global-unusable", "'own' is a thread's own variable"),
        ("nosuch: in int", "global-not-found", "'nosuch'"),
        ("other.c:residual: out double", "global-not-found", "'residual' of other.c"),
        ("setting: 'in int (*)[n]'", "global-unusable", "'setting' has 4 bytes and is no pointer"),
        ("residual: out", "unknown-type", "nothing says which type 'residual' has"),
    ):
        config = t.config(SHARED[:SHARED.index("globals:")] + "globals: { " + text + " }\n")
        r = t.ctl("doctor", "-c", config, p, status=None)
        contains(r.text, reason)
        contains(r.text, detail)
        r = t.run([p], config)
        equal(r.out, bare.out)
        equal(t.bodies(), 6, text)


def test_mistakes_have_a_caret(t):
    for text, reason, column in (
        ("residual: out double x", "bad-prototype", 37),
        ("residual: 'out double [n'", "bad-expression", 40),
        ("n: in int", "bad-prototype", 22),
        ("residual: int", "bad-prototype", 26),
        ("setting: in void", "extent-missing", 28),
        ("setting: [1]", "wrong-type", 16),
        ("'a b': in int", "bad-value", 17),
        ("setting: 'in int [m]'", "unknown-parameter", 34),
    ):
        config = t.config("tasks:\n  - symbol: solve\n    prototype: 'double solve(int n)'\n    globals: { " + text + " }\n")
        r = t.ctl("doctor", "-c", config, "/bin/true", status=None)
        contains(r.errors, f"taskcache.yaml:4:{column}: {reason}: ")
        caret = [line for line in r.errors.splitlines() if line.strip() == "^"]
        equal([len(line) for line in caret], [column], r.errors)


def test_extents_stay_inside_of_a_global(t):
    """A record never writes behind it, and what is behind it is never read."""
    p = t.cc(BODY + r"""
static struct { double before, grid[4], after; } all = {1, {0}, 2};
double table[4];
__attribute__((noinline, noclone)) int fill(int n, int m)
{
    body("fill");
    for (int i = 0; i < n && i < 4; i++)
        table[i] = n * 10 + i;
    return m + (int)all.before;
}
int main(void)
{
    for (int round = 0; round < 2; round++)
        for (int n = 2; n < 7; n++) {
            memset(table, 0, sizeof table);
            int r = fill(n, 1);
            printf("%d %g %g %g %g\n", r, table[0], table[1], table[2], table[3]);
        }
    return 0;
}
""", "extents")
    config = t.config("""
tasks:
  - symbol: fill
    prototype: 'int fill(int n, int m)'
    cache_policy: INPUTS
    globals: { table: 'inout double [n]' }
""")
    bare = t.bare([p])
    t.bodies()
    r = t.run([p], config, env={"TASKCACHE_LOG": "error"})
    equal(r.out, bare.out)
    equal(t.bodies(), 3 + 2 * 2)
    contains(r.errors, "bad-extent")
    contains(r.errors, "'table'")
