"""Large objects: symbols by the million with --long, a slice of that by default. The program waits no longer than its deadline."""
import json
import pathlib
import re
import threading

from harness import Failure, equal

MAIN = r"""
#include <stdio.h>
#include <stdlib.h>
__attribute__((noinline, noclone)) int f(int x)
{
    FILE *log = fopen(getenv("BODY_LOG"), "a");
    fputs("f\n", log);
    fclose(log);
    return x * 3;
}
int main(void) { printf("%d %d\n", f(2), f(2)); return 0; }
"""
MEMORY_KIB = 1 << 20


def symbols(t, count):
    """A program with so many functions: names as C++ has them, and static ones."""
    lines = ["\t.text\n"]
    for i in range(count):
        name = f"_ZN2ns{len(str(i)) + 1}f{i}Ei" if i % 2 else f"static_{i}"
        export = f"\t.globl {name}\n" if i % 4 == 1 else ""
        lines.append(f"{export}\t.type {name},@function\n{name}:\n\tret\n\t.size {name},1\n")
    t.write("many.s", "".join(lines) + '\t.section .note.GNU-stack,"",@progbits\n')
    return t.cc(MAIN, "many", ("-O1", "-rdynamic", str(t.dir / "many.s")))


DEBUG_UNIT = """
\t.section .debug_info,"",@progbits
.Lunit%(n)d:
\t.long .Lend%(n)d - .Lversion%(n)d
.Lversion%(n)d:
\t.value 4
\t.long .Labbreviations
\t.byte 8
\t.uleb128 1
\t.asciz "unit%(n)d.c"
\t.byte 12
\t.rept %(types)d
\t.uleb128 2
\t.asciz "a_type_that_nobody_asks_for_%(n)d"
\t.byte 8
\t.uleb128 3
\t.asciz "first"
\t.long .Lint%(n)d - .Lunit%(n)d
\t.byte 0
\t.uleb128 3
\t.asciz "second"
\t.long .Lint%(n)d - .Lunit%(n)d
\t.byte 4
\t.byte 0
\t.endr
.Lint%(n)d:
\t.uleb128 4
\t.asciz "int"
\t.byte 4
\t.byte 5
\t.byte 0
.Lend%(n)d:
"""
# DW_TAG_compile_unit (name, language), structure_type (name, size), member (name, type, place), base_type (name, size, encoding)
DEBUG_ABBREVIATIONS = """
\t.section .debug_abbrev,"",@progbits
.Labbreviations:
\t.byte 1, 0x11, 1, 0x03, 0x08, 0x13, 0x0b, 0, 0
\t.byte 2, 0x13, 1, 0x03, 0x08, 0x0b, 0x0b, 0, 0
\t.byte 3, 0x0d, 0, 0x03, 0x08, 0x49, 0x13, 0x38, 0x0b, 0, 0
\t.byte 4, 0x24, 0, 0x03, 0x08, 0x0b, 0x0b, 0x3e, 0x0b, 0, 0
\t.byte 0
\t.section .note.GNU-stack,"",@progbits
"""
DEBUG_MAIN = r"""
#include <stdio.h>
#include <stdlib.h>
struct pair { int a, b; };
__attribute__((noinline, noclone)) int f(struct pair p)
{
    FILE *log = fopen(getenv("BODY_LOG"), "a");
    fputs("f\n", log);
    fclose(log);
    return p.a * 3 + p.b;
}
__attribute__((noinline, noclone)) int g(const void *p) { return p != NULL; }
int main(void) { struct pair p = {2, g(&p) - 1}; printf("%d %d\n", f(p), f(p)); return 0; }
"""


def large_debug_information(t, mib):
    """A program with so much of it, in units of 1 MiB."""
    t.write("types.s", "".join(DEBUG_UNIT % {"n": n, "types": 16384} for n in range(mib)) + DEBUG_ABBREVIATIONS)
    t.execute(["as", "-o", "types.o", t.dir / "types.s"])
    return t.cc(DEBUG_MAIN, "described", ("-O1", "-g", "-rdynamic", str(t.dir / "types.o")))


class Peak:
    """The most memory that the service, or a resolver that it forked, takes meanwhile."""

    def __init__(self, t):
        self.t, self.kib, self.ended = t, 0, threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        while not self.ended.wait(0.02):
            for pid in self.t.service_pids():
                try:
                    text = open(f"/proc/{pid}/status").read()
                except OSError:
                    continue
                found = re.search(r"VmHWM:\s+(\d+)", text)
                self.kib = max(self.kib, int(found[1]) if found else 0)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


def test_symbols_by_the_million(t):
    count = 1000000 if t.long else 50000
    program = symbols(t, count)
    config = t.config("tasks:\n  - symbol: f\n    prototype: |\n      int f(int x)\n    cache_policy: INPUTS\n"
                      f"  - symbol: ns::f{count - 1}(int)\n    prototype: |\n      int f(int x)\n    cache_policy: INPUTS\n")
    with Peak(t) as peak:
        r = t.ctl("doctor", "--json", "-c", config, program, status=None, timeout=300)
    found = [x for x in json.loads(r.out)["tasks"] if x["task"].startswith("f@")]
    equal([x["state"] for x in found], ["hookable"])
    print(f"      {count} symbols: {r.seconds:.2f} s, {peak.kib >> 10} MiB", flush=True)
    if peak.kib > MEMORY_KIB:
        raise Failure(f"{peak.kib} KiB")
    for bodies in (1, 0):
        equal(t.run([program], config).text, "6 6\n")
        equal(t.bodies(), bodies)


def test_a_large_object_does_not_hold_the_program_up(t):
    """By hand, with no plan: the program waits for its deadline at most, and the next start has the plan."""
    program = symbols(t, 1000000 if t.long else 50000)
    config = t.config("tasks:\n  - symbol: f\n    prototype: |\n      int f(int x)\n    cache_policy: INPUTS\n")
    r = t.preload([program], config, env={"TASKCACHE_TEST_DEADLINE_MS": None})
    equal(r.text, "6 6\n")
    if r.seconds > 10:
        raise Failure(f"it took {r.seconds:.1f} s")
    t.bodies()
    t.wait(lambda: t.preload([program], config).text == "6 6\n" and t.bodies() == 0, "a plan", 60)


def test_large_debug_information(t):
    """A type that nobody defines is looked for in all of it."""
    program = large_debug_information(t, 310 if t.long else 20)
    config = t.config("defaults: { cache_policy: INPUTS }\ntasks:\n  - symbol: f\n"
                      "  - symbol: g\n    prototype: |\n      int g(struct that_nobody_defines p)\n")
    with Peak(t) as peak:
        r = t.ctl("doctor", "--json", "-c", config, program, status=None, timeout=300)
    found = {x["task"]: (x["state"], x.get("reason")) for x in json.loads(r.out)["tasks"]}
    equal(found["f@described"][0], "hookable", found)
    equal(found["g@described"][1], "unknown-type", found)
    size = (t.dir / "described").stat().st_size
    print(f"      {size >> 20} MiB of program: {r.seconds:.2f} s, {peak.kib >> 10} MiB", flush=True)
    if peak.kib > MEMORY_KIB:
        raise Failure(f"{peak.kib} KiB")
    r = t.preload([program], t.config(pathlib.Path(config).read_text() + "# anew\n", "anew.yaml"), env={"TASKCACHE_TEST_DEADLINE_MS": None})
    equal(r.text, "6 6\n")
    if r.seconds > 3:
        raise Failure(f"it took {r.seconds:.1f} s")
    t.bodies()
    t.wait(lambda: t.preload([program], t.dir / "anew.yaml").text == "6 6\n" and t.bodies() == 0, "a plan", 60)


def closure(t, count, last):
    """A library of so many functions that call each other, all reached from `task`; `last`: what the farthest one adds."""
    lines = ["\t.text\n"]
    for i in range(count):
        calls = "".join(f"\tcall f{k}\n" for k in (2 * i + 1, 2 * i + 2) if k < count)
        lines.append(f"\t.hidden f{i}\n\t.globl f{i}\n\t.type f{i},@function\nf{i}:\n\tadd ${last if i == count - 1 else i},%eax\n{calls}\tret\n\t.size f{i},.-f{i}\n")
    t.write("closure.s", "".join(lines) + '\t.section .note.GNU-stack,"",@progbits\n')
    return t.cc(MAIN.split("__attribute__")[0] + r"""
__attribute__((visibility("hidden"))) void f0(void);
__attribute__((visibility("default"), noinline)) int f(int x)
{
    int r = x;
    FILE *log = fopen(getenv("BODY_LOG"), "a");
    fputs("f\n", log);
    fclose(log);
    __asm__ volatile("sub $128, %%rsp\n call f0\n add $128, %%rsp" : "+a"(r) : : "cc", "memory");
    return r;
}
""", "libclosure.so", ("-O1", "-shared", "-fPIC", str(t.dir / "closure.s")))


def test_deep_over_a_closure_of_very_many_functions(t):
    """Where more functions are reached than are followed, the whole object counts: a plan within seconds, and no change unseen."""
    count = 200000 if t.long else 50000
    closure(t, count, 1)
    program = t.cc("#include <stdio.h>\nint f(int);\nint main(void) { printf(\"%d\\n\", f(1)); return 0; }\n", "program",
                   ("-O1", f"-L{t.dir}", "-lclosure", f"-Wl,-rpath,{t.dir}"))
    config = t.config("tasks:\n  - symbol: f\n    prototype: |\n      int f(int x)\n    cache_policy: INPUTS + TASK_SOURCE_DEEP\n")
    with Peak(t) as peak:
        r = t.ctl("doctor", "--json", "-c", config, program, status=None, timeout=300)
    equal([x["state"] for x in json.loads(r.out)["tasks"]], ["hookable"])
    print(f"      {count} functions in one closure: {r.seconds:.2f} s, {peak.kib >> 10} MiB", flush=True)
    if peak.kib > MEMORY_KIB:
        raise Failure(f"{peak.kib} KiB")
    for last, bodies in ((1, 1), (1, 0), (2, 1), (1, 0)):
        closure(t, count, last)
        bare = t.bare([program]).text
        t.bodies()
        r = t.run([program], config)
        equal((r.text, r.errors), (bare, ""), last)
        equal(t.bodies(), bodies, last)
