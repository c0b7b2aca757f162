"""Large objects: symbols by the million with --long, a slice of that by default. The program waits no longer than its deadline."""
import json
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
