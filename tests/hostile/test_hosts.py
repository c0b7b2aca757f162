"""Programs that misbehave (tests/programs): bare, then cached twice. Output, status, errors and files are those of the bare run."""
import os
import pathlib
import signal
import subprocess
import time

from harness import Failure, TESTS, equal

PROGRAMS = "tests/programs"


def program(t, name):
    return str(t.build / PROGRAMS / name)


def config_of(t):
    return t.config((TESTS / "programs" / "tasks.yaml").read_text())


def thrice(t, argv, env=None, replays=True, options=(), by_hand=False, timeout=120):
    """Bare, missed, hit. Returns the three counts of bodies."""
    config = config_of(t)
    bare = t.bare(argv, env=env, status=None, timeout=timeout)
    counts = [t.bodies()]
    for turn in ("first", "second"):
        if by_hand:
            r = t.preload(argv, config, env=env, status=None, timeout=timeout)
        else:
            r = t.run(argv, config, options=options, env=env, status=None, timeout=timeout)
        equal((r.status, r.out, r.err), (bare.status, bare.out, bare.err), f"the {turn} run of {argv}")
        counts.append(t.bodies())
    if counts[0] == 0 or counts[1] > counts[0]:
        raise Failure(f"bodies: {counts}")
    if replays and counts[2] >= counts[1]:
        raise Failure(f"nothing was replayed: {counts}")
    return counts


def case(name, *args, **kw):
    def f(t):
        thrice(t, [program(t, name), *args], **kw)

    return f


CASES = {
    "closes all descriptors in a loop": case("closefds", "loop"),
    "closes all descriptors by close_range": case("closefds", "range"),
    "closes all descriptors by closefrom": case("closefds", "from"),
    "starts without stdin stdout stderr": case("nostdio"),
    "forks": case("forks", "20"),
    "vfork": case("vfork"),
    "eight threads on one key and on many": case("threads"),
    "C++ exceptions through a task": case("exceptions"),
    "longjmp over a task": case("longjmp"),
    "threads that end in a task": case("cancel"),
    "errno": case("errno"),
    "its own malloc": case("ownmalloc"),
    "signal handlers that call a task": case("sigcall", replays=False),
    "handlers on an alternate stack": case("altstack"),
    "coroutines": case("ucontext"),
    "small stacks": case("smallstack"),
    "threads by the thousand": case("manythreads"),
    "dlopen dlclose and reopen": case("dlopen_task"),
    "arguments on the stack": case("stackargs"),
    "live values in every register": case("liveregs"),
    "buffers strides and guards": case("buffers"),
    "resource limits": case("rlimits"),
    "enters seccomp": case("seccomp", replays=False),
    "enters seccomp's strict mode": case("seccomp", "strict", replays=False),
    "basic": case("basic"),
}


def tests():
    return [(f"hosts: {name}", f) for name, f in CASES.items()] + [
        (f"hosts by hand: {name}", case(n, *a, by_hand=True))
        for name, n, a in (("forks", "forks", ["5"]), ("exceptions", "exceptions", []), ("descriptors", "closefds", ["loop"]))
    ]


def test_memoised_fib_80_ends_at_once(t):
    config = config_of(t)
    for expected in (81, 0):
        r = t.run([program(t, "fib"), "80"], config)
        equal(r.text, "fib 23416728348467685\n")
        equal(t.bodies(), expected)


def test_a_host_with_jemalloc(t):
    jemalloc = next(pathlib.Path("/usr/lib").rglob("libjemalloc.so.2"))
    config = config_of(t)
    bare = t.bare([program(t, "threads")])
    t.bodies()
    for first, second in ((t.library, jemalloc), (jemalloc, t.library)):
        r = t.preload([program(t, "threads")], config, env={"LD_PRELOAD": f"{first}:{second}"})
        equal((r.out, r.err), (bare.out, b""))
    t.bodies()
    equal(t.run([program(t, "threads")], config, env={"LD_PRELOAD": jemalloc}).out, bare.out)
    equal(t.bodies(), 0)


def test_under_gdb(t):
    config = config_of(t)
    bare = t.bare([program(t, "basic")])
    t.bodies()
    script = ["gdb", "-q", "-batch", "-nx", "-ex", "set startup-with-shell off", "-ex", f"set environment LD_PRELOAD {t.library}",
              "-ex", f"set environment TASKCACHE_CONFIG {config}", "-ex", "run", program(t, "basic")]
    for _ in range(2):
        r = t.execute(script)
        for line in bare.text.splitlines():
            if line not in r.text:
                raise Failure(f"{line!r} is missing in\n{r.text}\n{r.errors}")
        if "exited normally" not in r.text:
            raise Failure(r.text)


def test_killed_in_the_body_and_right_after_the_call(t):
    source = r"""
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "body.h"
EXPORTED_TASK(int dies(int x))
{
    body_ran("dies");
    if (getenv("DIE_INSIDE"))
        kill(getpid(), SIGKILL);
    return x + 1;
}
int main(void)
{
    int r = dies(4);
    if (getenv("DIE_AFTER"))
        kill(getpid(), SIGKILL);
    printf("%d\n", r);
    return 0;
}
"""
    p = t.cc(source, "dies", ("-O2", f"-I{TESTS}/programs"))
    config = t.config("tasks:\n  - symbol: dies\n    prototype: |\n      int dies(int x)\n    cache_policy: INPUTS\n")
    t.run([p], config, env={"DIE_INSIDE": 1}, status=-signal.SIGKILL)
    equal(t.bodies(), 1)
    t.run([p], config, env={"DIE_AFTER": 1}, status=-signal.SIGKILL)
    equal(t.bodies(), 1, "H08: what was killed in the body left nothing")
    equal(t.run([p], config).text, "5\n")
    equal(t.bodies(), 0, "H11: what returned is there")


LOOP = r"""
#include <stdio.h>
#include <unistd.h>
#include "body.h"
EXPORTED_TASK(int turn(int x))
{
    body_ran("turn");
    return x * 7 % 1000;
}
int main(void)
{
    long sum = 0;
    char line[16];
    for (int i = 0; i < 400; i++) {
        sum += turn(i % 200);
        if (i % 100 == 50) { /* the test does something to the service meanwhile */
            printf("at %d\n", i);
            fflush(stdout);
            if (fgets(line, sizeof line, stdin) == NULL)
                return 1;
        }
    }
    printf("sum %ld\n", sum);
    return 0;
}
"""
LOOP_CONFIG = "tasks:\n  - symbol: turn\n    prototype: |\n      int turn(int x)\n    cache_policy: INPUTS\n"


def disturbed(t, what):
    """Runs the loop while `what(step)` does something to the service at each stop."""
    p = t.cc(LOOP, "loop", ("-O2", f"-I{TESTS}/programs"))
    config = t.config(LOOP_CONFIG)
    bare = t.bare([p], stdin=b"\n\n\n\n")
    t.bodies()
    del t.env["TASKCACHE_TEST_DEADLINE_MS"]
    start = time.monotonic()
    child = subprocess.Popen([t.cachectl, "run", "-c", config, "--", p], env=t.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, cwd=t.dir)
    lines = []
    for step in range(4):
        lines.append(child.stdout.readline())
        what(step)
        child.stdin.write(b"\n")
        child.stdin.flush()
    rest, err = child.communicate(timeout=300)
    equal(b"".join(lines) + rest, bare.out)
    equal((child.returncode, err), (0, b""))
    if time.monotonic() - start > 60:
        raise Failure("the program was held up")
    t.kill_services(signal.SIGCONT)
    equal(t.run([p], config, stdin=b"\n\n\n\n").out, bare.out)


def test_the_service_is_killed_again_and_again(t):
    disturbed(t, lambda step: t.kill_services())


def test_the_service_is_killed_and_started_again(t):
    def what(step):
        t.kill_services()
        t.execute([t.taskcached, "--config", str(t.dir / "taskcache.yaml")])

    disturbed(t, what)


def test_the_service_is_stopped(t):
    def what(step):
        t.kill_services(signal.SIGSTOP if step % 2 == 0 else signal.SIGCONT)

    disturbed(t, what)


def test_the_cache_directory_is_deleted_meanwhile(t):
    def what(step):
        if step == 1:
            subprocess.run(["rm", "-rf", str(t.dir / "cache" / "taskcache")], check=True)

    disturbed(t, what)


def test_the_runtime_directory_is_deleted_meanwhile(t):
    def what(step):
        if step == 1:
            subprocess.run(["rm", "-rf", str(t.dir / "run" / "taskcache")], check=True)

    disturbed(t, what)


def test_no_descriptor_stays_open(t):
    source = r"""
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include "body.h"
EXPORTED_TASK(int counted(int x))
{
    body_ran("counted");
    return x;
}
static int descriptors(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}
int main(void)
{
    int before = descriptors();
    for (int i = 0; i < 500; i++)
        counted(i % 250);
    printf("%d\n", descriptors() - before);
    return 0;
}
"""
    p = t.cc(source, "counted", ("-O2", f"-I{TESTS}/programs"))
    config = t.config("tasks:\n  - symbol: counted\n    prototype: |\n      int counted(int x)\n    cache_policy: INPUTS\n")
    for allowed in ("1\n", "1\n"):  # the socket
        equal(t.run([p], config).text, allowed)


def test_no_line_on_stderr_and_none_in_closed_files(t):
    config = config_of(t)
    p = program(t, "basic")
    out = t.dir / "out"
    for _ in range(2):
        with open(out, "wb") as f:
            subprocess.run(["sh", "-c", f'exec "{t.cachectl}" run -c "{config}" -- "{p}" 2>&-'], env=t.env, stdout=f, check=False, cwd=t.dir)
        equal(out.read_bytes(), t.bare([p]).out)
    assert os.path.exists(out)


def test_programs_under_sanitizers_and_valgrind(t):
    config = config_of(t)
    source = str(TESTS / "programs" / "threads.c")
    for name, flags, command in (("address", ["-fsanitize=address"], []), ("thread", ["-fsanitize=thread"], []),
                                 ("undefined", ["-fsanitize=undefined"], []), ("plain", [], ["valgrind", "-q"])):
        p = t.cc(source, name, ("-O1", "-g", "-w", "-D_GNU_SOURCE", *flags, "-lpthread"))
        bare = t.bare([p])
        t.bodies()
        for replayed in (False, True):
            r = t.run([*command, p], config)
            equal((r.out, r.err), (bare.out, b""), name)
            if replayed:
                equal(t.bodies(), 0, name)
            t.bodies()
