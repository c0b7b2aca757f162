"""TASK_SOURCE_DEEP and the objects behind the function's object: another library there is another key."""
import json
import re
import shutil

from harness import contains, equal

DEEPER = r"""
int deeper(int x);
int deeper(int x)
{
    return x + EXTRA;
}
"""
INNER = r"""
int deeper(int x);
int inner(int x);
int inner(int x)
{
    return deeper(x) * FACTOR;
}
"""
OUTER = r"""
#include <stdio.h>
#include <stdlib.h>
int inner(int x);
int outer(int x)
{
    FILE *log = fopen(getenv("BODY_LOG"), "a");
    fputs("outer\n", log);
    fclose(log);
    return inner(x) + 1;
}
"""
MAIN = r"""
#include <stdio.h>
int outer(int x);
int main(void)
{
    printf("%d\n", outer(7));
    return 0;
}
"""




class Built:
    """outer in libouter.so calls inner in libinner.so, which calls deeper in libdeeper.so."""

    def __init__(self, t, policy):
        self.t = t
        for extra in (0, 1):
            self.library(f"deeper{extra}", "libdeeper.so", DEEPER, [f"-DEXTRA={extra}"])
        self.use("libdeeper.so", "deeper0")
        for factor in (10, 20):
            self.library(f"inner{factor}", "libinner.so", INNER, [f"-DFACTOR={factor}", "-ldeeper"])
        self.use("libinner.so", "inner10")
        outer = t.write("outer.c", OUTER)
        t.execute(["gcc", "-O2", "-shared", "-fPIC", "-o", t.dir / "libouter.so", outer, f"-L{t.dir}", "-linner", f"-Wl,-rpath,{t.dir}"])
        self.program = t.cc(MAIN, "program", ("-O2", f"-L{t.dir}", "-louter", f"-Wl,-rpath,{t.dir}", f"-Wl,-rpath-link,{t.dir}"))
        self.config = t.config(f"tasks:\n  - symbol: outer@libouter.so\n    prototype: |\n      int outer(int x)\n    cache_policy: INPUTS + {policy}\n")

    def library(self, directory, name, text, flags):
        t = self.t
        (t.dir / directory).mkdir()
        source = t.write(f"{directory}/{name}.c", text)
        t.execute(["gcc", "-O2", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", t.dir / directory / name, source, f"-L{t.dir}", f"-Wl,-rpath,{t.dir}", *flags])

    def use(self, name, directory):
        (self.t.dir / name).unlink(missing_ok=True)
        shutil.copy(self.t.dir / directory / name, self.t.dir / name)

    def check(self, what, result, bodies, env=None):
        r = self.t.run([self.program], self.config, env=env or {})
        equal((r.text, self.t.bodies()), (f"{result}\n", bodies), what)


def test_another_library_behind_the_same_object_is_another_key(t):
    b = Built(t, "TASK_SOURCE_DEEP")
    b.check("first", 71, 1)
    b.check("again", 71, 0)
    b.use("libinner.so", "inner20")
    b.check("another callee", 141, 1)
    b.check("another callee, again", 141, 0)
    b.use("libdeeper.so", "deeper1")
    b.check("another callee of the callee", 161, 1)
    b.use("libinner.so", "inner10")
    b.use("libdeeper.so", "deeper0")
    b.check("as before", 71, 0)


def test_show_names_the_libraries(t):
    b = Built(t, "TASK_SOURCE_DEEP")
    b.check("first", 71, 1)
    (record,) = t.records(b.config)
    text = t.ctl("show", "-c", b.config, record["key"]).text
    (line,) = [s for s in text.splitlines() if s.startswith("  =deep")]
    digest, names = re.fullmatch(r"  =deep +digest ([0-9a-f]{32}) of (.*)", line).groups()
    for name in ("libinner.so", "libdeeper.so"):
        contains(names, name)
    found = json.loads(t.ctl("show", "-c", b.config, "--json", record["key"]).out)
    equal([i["value"] for i in found["inputs"] if i["name"] == "=deep"], [digest])


def test_a_library_in_front_is_another_key(t):
    b = Built(t, "TASK_SOURCE_DEEP")
    b.check("first", 71, 1)
    b.library("front", "libfront.so", INNER, ["-DFACTOR=30", "-ldeeper"])
    b.library("behind", "libbehind.so", DEEPER, ["-DEXTRA=2"])
    b.check("in front of the callee", 211, 1, {"LD_PRELOAD": str(t.dir / "front" / "libfront.so")})
    b.check("in front of its callee", 91, 1, {"LD_PRELOAD": str(t.dir / "behind" / "libbehind.so")})
    b.check("without", 71, 0)


def test_task_source_alone_knows_callees_by_name(t):
    b = Built(t, "TASK_SOURCE")
    b.check("first", 71, 1)
    b.use("libinner.so", "inner20")
    b.check("another callee", 71, 0)


REOPENS = r"""
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (system(argv[i]) != 0)
            return 1;
        void *library = dlopen(PATH, RTLD_NOW);
        int (*outer)(int) = library != NULL ? (int (*)(int))dlsym(library, "outer") : NULL;
        printf("%d\n", outer != NULL ? outer(7) : -1);
        if (library != NULL)
            dlclose(library);
    }
    return 0;
}
"""


def test_another_library_opened_where_one_was_closed_is_another_key(t):
    b = Built(t, "TASK_SOURCE_DEEP")
    program = t.cc(REOPENS, "reopens", ("-O2", f'-DPATH="{t.dir}/libouter.so"', "-ldl"))

    def use(directory):
        return f"rm {t.dir}/libdeeper.so && cp {t.dir}/{directory}/libdeeper.so {t.dir}/libdeeper.so"

    r = t.run([program, use("deeper0"), use("deeper1"), use("deeper0"), use("deeper1")], b.config)
    equal((r.text, t.bodies()), ("71\n81\n71\n81\n", 2), "each build of the library has its result")


def parts_of(t, config):
    """What `why` says of the latest miss."""
    miss = json.loads(t.ctl("why", "-c", config, "--json").out)[0]["misses"][0]
    (deep,) = [d for d in miss["differs"] if d["name"] == "=deep"]
    return sorted((p["part"], p["change"], p.get("is_library", False)) for p in deep["parts"])


def test_why_names_the_library_that_changed(t):
    b = Built(t, "TASK_SOURCE_DEEP")
    b.check("first", 71, 1)
    b.use("libinner.so", "inner20")
    b.check("another callee", 141, 1)
    equal(parts_of(t, b.config), [("libinner.so", "changed", True)])
    contains(t.ctl("why", "-c", b.config).text, "the library `libinner.so` changed")
    b.library("behind", "libbehind.so", DEEPER, ["-DEXTRA=2"])
    b.check("in front of its callee", 181, 1, {"LD_PRELOAD": str(t.dir / "behind" / "libbehind.so")})
    equal(parts_of(t, b.config), [("libbehind.so", "added", True), ("libdeeper.so", "removed", True)])


CLOSURE = r"""
#include <stdio.h>
#include <stdlib.h>
__attribute__((noinline, noclone)) static int inner(int x) { __asm__ volatile(""); return x + INNER; }
__attribute__((noinline, noclone)) static int helper(int x) { __asm__ volatile(""); return inner(x) * HELPER; }
__attribute__((noinline, noclone)) int task(int x)
{
    FILE *log = fopen(getenv("BODY_LOG"), "a");
    fputs("task\n", log);
    fclose(log);
    return helper(x) + 1;
}
int main(void) { printf("%d\n", task(7)); return 0; }
"""


def test_why_names_the_callee_that_changed(t):
    config = t.config("tasks:\n  - symbol: task\n    prototype: |\n      int task(int x)\n    cache_policy: INPUTS + TASK_SOURCE_DEEP\n")

    def check(inner, helper, bodies):
        program = t.cc(CLOSURE, "program", ("-O2", f"-DINNER={inner}", f"-DHELPER={helper}"))
        equal((t.run([program], config).text, t.bodies()), (f"{(7 + inner) * helper + 1}\n", bodies))
    check(1, 1, 1)
    check(1, 1, 0)
    check(2, 1, 1)
    equal(parts_of(t, config), [("program.c:inner", "changed", False)])
    contains(t.ctl("why", "-c", config).text, "`program.c:inner` changed")
    check(2, 3, 1)
    equal(parts_of(t, config), [("program.c:helper", "changed", False)])
