"""`cachectl doctor` says what a function's code refers to beside its arguments."""
import json

from harness import contains, equal, lacks

PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int counter;

#define TASK __attribute__((noinline, noclone))

TASK int pure(int x)
{
    int sum = 0;
    for (int i = 0; i < x; i++)
        sum += i * x;
    return sum;
}

TASK int impure(int x)
{
    counter++;
    return x + (int)time(NULL) + rand() + (getenv("A") != NULL);
}

static TASK int helper(int x)
{
    return x + (int)time(NULL);
}

TASK int deep(int x)
{
    return helper(x) * 3 + helper(x + 1);
}

TASK int calls(int (*f)(int), int x)
{
    return f(x) + f(x + 1) + (int)strlen("abc");
}

int main(void)
{
    printf("%d %d %d %d\n", pure(3), impure(1), calls(pure, 2), deep(4));
    return 0;
}
"""

CONFIG = """
defaults: { cache_policy: INPUTS }
tasks:
  - symbol: pure
    prototype: |
      int pure(int x)
  - symbol: impure
    prototype: |
      int impure(int x)
  - symbol: calls
    prototype: |
      int calls(ignore void *f, int x)
  - symbol: deep
    prototype: |
      int deep(int x)
    cache_policy: INPUTS + TASK_SOURCE_DEEP
"""


def test_advice_by_names(t):
    program = t.cc(PROGRAM, "program")
    config = t.config(CONFIG)
    text = t.ctl("doctor", "-c", config, program).text
    contains(text, "advice     reads-clock: time, in impure: it reads a clock")
    contains(text, "advice     writes-global: counter, in impure: it changes a variable of the program")
    found = {f["task"].split("@")[0]: f for f in json.loads(t.ctl("doctor", "-c", config, "--json", program).out)["tasks"]}
    equal(sorted((a["reason"], a["what"]) for a in found["impure"]["advice"]), [
        ("reads-clock", "time"), ("reads-environment", "getenv"), ("reads-random", "rand"), ("writes-global", "counter")])
    equal((found["pure"]["advice"], found["pure"]["indirect_calls"]), ([], 0))
    equal(found["calls"]["advice"], [])
    if not found["calls"]["indirect_calls"]:
        raise AssertionError(found["calls"])
    # With TASK_SOURCE_DEEP what the function calls is looked into, too.
    equal([(a["reason"], a["path"].split(" > ")) for a in found["deep"]["advice"]], [("reads-clock", ["deep", "program.c:helper"])])
    contains(text, "indirect calls: what they do isn't known")
    # Advice refuses nothing.
    lacks(text, "refused:")
    t.run([program], config)


GLOBALS = r"""
#include <string.h>
int seen, changed, both, steps[64], through, passed[4];
#define TASK __attribute__((noinline, noclone))
TASK int reads(int x) { return x * seen + steps[x & 63] + 7; }
TASK int writes(int x) { changed = x * 3 + 1; return x * 5 - 2; }
TASK int adds(int x) { both += x; return both * 7 + x; }
TASK int fills(int x) { for (int i = 0; i < 64; i++) steps[i * x & 63] = x; return x * x + 3; }
TASK static int inner(int x) { through = x; return x * 9 + 4; }
TASK int deep(int x) { return inner(x + 1) * inner(x + 2); }
TASK int passes(int x) { memset(passed, x, sizeof passed); return x * 11 + 1; }
int main(void) { return reads(1) + writes(2) + adds(3) + fills(4) + deep(5) + passes(6) == 0; }
"""
FUNCTIONS = ("reads", "writes", "adds", "fills", "deep", "passes")


def test_writes_of_globals_are_told_from_reads(t):
    config = t.config("defaults: { cache_policy: INPUTS + TASK_SOURCE_DEEP }\ntasks:\n" + "".join(
        f"  - symbol: {f}\n    prototype: |\n      int {f}(int x)\n" for f in FUNCTIONS))
    source = t.write("globals.c", GLOBALS)
    library = t.cc(source, "libglobals.so", ("-O2", "-fPIC", "-shared"))
    caller = "int reads(int);\nint main(void) { return reads(1) == 0; }\n"
    programs = [t.cc(source, f"p{i}", flags) for i, flags in enumerate((("-O2",), ("-O1", "-fno-pie", "-no-pie")))]
    programs.append(t.cc(caller, "caller", ("-O2", f"-L{t.dir}", f"-Wl,-rpath,{t.dir}", "-lglobals")))
    for program in programs:
        tasks = json.loads(t.ctl("doctor", "-c", config, "--json", program).out)["tasks"]
        found = {f["task"].split("@")[0]: {a["what"].split(":")[-1]: (a["reason"], a["path"]) for a in f["advice"]} for f in tasks}
        equal({w: r for w, (r, _) in found["reads"].items()}, {"seen": "uses-global", "steps": "uses-global"}, program)
        equal(found["writes"]["changed"][0], "writes-global", program)
        equal(found["adds"]["both"][0], "writes-global", program)
        equal(found["fills"]["steps"][0], "writes-global", program)
        equal(found["deep"]["through"], ("writes-global", "deep > globals.c:inner"), program)
        # What others do with an address isn't known.
        equal(found["passes"].get("passed", ("uses-global", ""))[0] in ("uses-global", "writes-global"), True, program)


INNER = r"""
#include <stdlib.h>
#include <time.h>
int calls, unread;
static __attribute__((noinline, noclone)) int deeper(int x) { calls++; return x + (int)time(NULL); }
__attribute__((noinline)) int inner(int x) { return deeper(x) * 3; }
__attribute__((noinline)) int other(int x) { return rand() + x; }
__attribute__((noinline)) int by_pointer(int (*f)(int), int x) { return f(x) + 1; }
"""
OUTER = r"""
extern int inner(int);
extern int by_pointer(int (*)(int), int);
static __attribute__((noinline, noclone)) int step(int x) { __asm__(""); return inner(x) + 1; }
__attribute__((noinline)) int outer(int x) { return step(x) * 5; }
__attribute__((noinline)) int outer_by(int x) { return by_pointer(outer, x) * 5; }
"""
TASKS = r"""
extern int outer(int);
extern int outer_by(int);
static __attribute__((noinline, noclone)) int mid(int x) { __asm__(""); return outer(x) + 2; }
__attribute__((noinline, noclone)) int deep(int x) { return mid(x) * 7; }
__attribute__((noinline, noclone)) int plain(int x) { return outer(x) * 9; }
__attribute__((noinline, noclone)) int through(int x) { return outer_by(x) * 9; }
int main(int c, char **v) { (void)v; return deep(c) + plain(c) + through(c) == 1; }
"""


def test_what_other_objects_do_is_told_with_the_way_there(t):
    link = (f"-L{t.dir}", f"-Wl,-rpath,{t.dir}")
    t.cc(INNER, "libinner.so", ("-O2", "-fPIC", "-shared", "-Wl,-soname,libinner.so"))
    t.cc(OUTER, "libouter.so", ("-O2", "-fPIC", "-shared", "-Wl,-soname,libouter.so", *link, "-linner"))
    program = t.cc(t.write("far.c", TASKS), "program", ("-O2", *link, "-louter", "-linner"))
    text = "".join(f"  - symbol: {f}\n    prototype: 'int {f}(int x)'\n    cache_policy: INPUTS + {p}\n{more}" for f, p, more in (
        ("deep", "TASK_SOURCE_DEEP", ""), ("plain", "TASK_SOURCE", ""),
        ("through", "TASK_SOURCE_DEEP", "    deep_stop: [ default, 'libinn*' ]\n")))
    config = t.config("tasks:\n" + text)
    found = {f["task"].split("@")[0]: f for f in json.loads(t.ctl("doctor", "-c", config, "--json", program).out)["tasks"]}
    way = "deep > far.c:mid > outer > inner > libinner"
    advice = {a["reason"]: (a["what"], a["object"].rpartition("/")[2], a["path"]) for a in found["deep"]["advice"]}
    equal(sorted(advice), ["reads-clock", "writes-global"], found["deep"])
    equal(advice["reads-clock"][:2], ("time", "libinner.so"))
    equal(advice["writes-global"][:2], ("calls", "libinner.so"))
    equal(advice["reads-clock"][2].startswith("deep > far.c:mid > outer > inner > "), True, way)
    equal(advice["reads-clock"][2].endswith("deeper"), True, advice)
    equal(found["deep"]["not_covered"], [])
    # Plain TASK_SOURCE doesn't look there; and where following ends nothing is said.
    equal(found["plain"]["advice"], [])
    equal((found["through"]["advice"], found["through"]["not_covered"]), ([], []))
    out = t.ctl("doctor", "-c", config, program).text
    contains(out, "advice     writes-global: calls, in deep > far.c:mid > outer > inner > ")
    contains(out, " of libinner.so: it changes a variable of the program")
    # What can't be followed is said, of each object once; nothing is refused.
    config = t.config("tasks:\n" + text.replace("    deep_stop: [ default, 'libinn*' ]\n", ""))
    out = t.ctl("doctor", "-c", config, program).text
    contains(out, "    unseen     libinner.so: indirect calls\n")
    t.execute(["strip", t.dir / "libinner.so"])
    out = t.ctl("doctor", "-c", config, program).text
    contains(out, "advice     reads-clock: time, in deep > far.c:mid > outer > inner > ")
    lacks(out, "refused:")
