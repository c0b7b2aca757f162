"""Function pointers are inputs by the TASK_SOURCE of what they lead to."""
import json
import os
import signal

from harness import Failure, contains, equal

CONFIG = """
tasks:
  - symbol: apply
    prototype: int apply(int (*f)(int), int x)
    cache_policy: INPUTS
"""
PROGRAM = r"""
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
extern int callback(int x);
extern int (*hidden(void))(int);
__attribute__((noinline, noclone)) int apply(int (*f)(int), int x)
{
    int fd = open(getenv("BODY_LOG"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || write(fd, "apply\n", 6) != 6)
        _exit(99);
    close(fd);
    return f != NULL ? f(x) : -1;
}
static int local(int x) { return x * 7 + LOCAL; }
int main(void)
{
    if (getenv("ONLY_START") != NULL)
        return 0;
    for (int i = 0; i < 2; i++) {
        printf("%d\n", apply(callback, 5));
        printf("%d\n", apply(local, 5));
        printf("%d\n", apply(NULL, 5));
        printf("%d\n", apply(hidden(), 5));
    }
    return 0;
}
"""
LIBRARY = r"""
%(before)s
int callback(int x) { return x * 3 + %(callback)d; }
__attribute__((noinline)) static int inside(int x) { return x * 5 + %(inside)d; }
int (*hidden(void))(int) { return inside; }
"""


def library(t, strip=False, **parts):
    text = LIBRARY % {"before": "", "callback": 1, "inside": 1, **parts}
    flags = ["-s"] if strip else []
    t.execute(["gcc", "-O1", "-g0", "-shared", "-fPIC", *flags, "-o", str(t.dir / "libcb.so"), t.write("cb.c", text)])


def program(t, local=1, flags=()):
    text = PROGRAM.replace("LOCAL", str(local))
    return t.cc(text, "program", ("-O1", "-g0", f"-L{t.dir}", "-lcb", f"-Wl,-rpath,{t.dir}", *flags))


def step(t, p, config, bodies, what, env=None):
    bare = t.bare([p], env=env)
    t.bodies()
    r = t.run([p], config, env=env)
    equal((r.out, r.err), (bare.out, bare.err), what)
    equal(t.bodies(), bodies, what)


MOVED = "int other(int x, int y) { return x * y + x / y; }\nint more(int x) { return other(x, 9) - 4; }"


def test_a_callback_counts_by_its_code_alone(t):
    config = t.config(CONFIG)
    library(t)
    p = program(t)
    step(t, p, config, 4, "all new")
    step(t, p, config, 0, "all known")
    library(t, before="/* a comment */")
    step(t, p, config, 0, "a comment")
    library(t, before=MOVED)
    step(t, p, config, 0, "others before it")
    library(t, before=MOVED, callback=2)
    step(t, p, config, 1, "the exported callback changed")
    library(t, before=MOVED, callback=2, inside=2)
    step(t, p, config, 1, "the static callback changed")
    library(t)
    step(t, p, config, 0, "as it was")


def test_a_callback_of_the_program_counts_by_its_code(t):
    config = t.config(CONFIG)
    library(t)
    known = 0
    for flags in ((), ("-no-pie", "-fno-pie", "-Wl,-z,now"), ("-Wl,--build-id=none",)):
        t.config(CONFIG.replace("  - symbol", f"  - name: apply{known}\n    symbol"))
        known += 1
        step(t, program(t, 1, flags), config, 4, f"new {flags}")
        step(t, program(t, 1, (*flags, "-Wl,-z,separate-code", "-Wl,--hash-style=both")), config, 0, f"linked anew {flags}")
        step(t, program(t, 2, flags), config, 1, f"changed {flags}")
        step(t, program(t, 1, flags), config, 0, f"as it was {flags}")


def test_callbacks_of_a_stripped_library(t):
    config = t.config(CONFIG)
    library(t, strip=True)
    p = program(t)
    step(t, p, config, 4, "all new")
    step(t, p, config, 0, "all known")
    library(t, strip=True, callback=2, inside=2)
    step(t, p, config, 2, "both changed")
    library(t, strip=True, inside=2)
    step(t, p, config, 0, "each of them is known")


def test_without_a_service_the_body_runs(t):
    config = t.config(CONFIG)
    library(t)
    p = program(t)
    bare = t.bare([p])
    t.bodies()
    t.run([p], config, env={"ONLY_START": "1"})  # its objects are resolved now, but no function that a pointer leads to
    equal(t.bodies(), 0)
    for pid in t.service_pids():
        os.kill(pid, signal.SIGSTOP)
    r = t.preload([p], config, env={"TASKCACHE_TEST_DEADLINE_MS": "100"})
    for pid in t.service_pids():
        os.kill(pid, signal.SIGCONT)
    equal((r.out, r.err), (bare.out, bare.err))
    if t.bodies() < 7:  # apply(NULL) may be stored once the service goes on
        raise Failure("a call with an unknown function didn't run")
    r = t.run([p], config)
    equal((r.out, r.err), (bare.out, bare.err))
    if t.bodies() < 3:
        raise Failure("a call with an unknown function was stored")
    step(t, p, config, 0, "known")


def test_a_source_that_cannot_be_told_is_a_bypass(t):
    """Its file was replaced by another one while the program ran: what is in memory can't be resolved."""
    config = t.config(CONFIG)
    library(t)
    p = program(t)
    step(t, p, config, 4, "resolved")
    script = t.write("replace.c", r"""
#include <stdio.h>
#include <stdlib.h>
__attribute__((constructor)) static void replace(void) { if (getenv("REPLACE")) (void)rename("libnew.so", "libcb.so"); }
""")
    t.execute(["gcc", "-shared", "-fPIC", "-o", str(t.dir / "libreplace.so"), script])
    library(t, callback=9)
    (t.dir / "libcb.so").rename(t.dir / "libnew.so")
    library(t, callback=4)
    q = program(t, flags=("-Wl,--no-as-needed", "-lreplace"))
    bare = t.bare([q])
    t.bodies()
    r = t.run([q], config, env={"REPLACE": "1", "TASKCACHE_LOG": "error"})
    equal(r.out, bare.out)
    equal(t.bodies(), 4, "two functions of it, both times")
    contains(json.dumps(t.stats(config)), "source-unknown")
