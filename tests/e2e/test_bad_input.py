"""What people write wrong is told before the program runs; what the machine lacks is one warning, and the program runs uncached."""
import os
import struct
import subprocess

from harness import Failure, contains, equal, lacks

PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
__attribute__((noinline, noclone)) int f(const double *x, int n)
{
    FILE *log = fopen(getenv("BODY_LOG"), "a");
    fputs("f\n", log);
    fclose(log);
    return n + (int)x[0];
}
int main(void)
{
    double x[2] = {3, 4};
    printf("%d\n", f(x, 2));
    return 0;
}
"""
GOOD = "tasks:\n  - symbol: f\n    prototype: |\n      int f(const double x[n], int n)\n    cache_policy: INPUTS\n"

WRONG = {
    "unknown key": ("tasks:\n  - symbol: f\n    prototpye: |\n      int f(int n)\n", "unknown-key", "prototype"),
    "wrong type": ("tasks:\n  symbol: f\n", "wrong-type", ""),
    "bad duration": (GOOD + "    cache_expiration: 3 fortnights\n", "bad-duration", "1h30m"),
    "a storage's size": ("storages: { s: { type: lmdb, path: s, max_size: 0 } }\n" + GOOD, "bad-size", "more than nothing"),
    "a far storage's size": ("storages: { s: { type: files.directory, max_size: 1GiB } }\n" + GOOD, "bad-value", "only a storage of type lmdb"),
    "bad size": ("cache: { max_size: plenty }\n" + GOOD, "bad-size", "GiB"),
    "bad prototype": (GOOD.replace("x[n], int n)", "x[n], int"), "bad-prototype", "^"),
    "missing extent": (GOOD.replace("x[n]", "*x"), "extent-missing", "try: const double x[n]"),
    "unknown parameter": (GOOD.replace("x[n], int n", "x[coumt], int count"), "unknown-parameter", "count"),
    "two tasks of one identity": (GOOD + GOOD[7:], "duplicate-task", ""),
    "bad policy": (GOOD.replace("INPUTS\n", "INPUT\n"), "bad-policy", "INPUTS"),
    "needs quotes": (GOOD + "    skip: *n\n", "needs-quotes", "single quotes"),
}


def wrong(text, reason, more):
    def f(t):
        program = t.cc(PROGRAM, "program")
        config = t.config(text)
        r = t.run([program], config, status=125)
        equal((r.out, t.bodies()), (b"", 0), "nothing runs")
        contains(r.errors, reason)
        contains(r.errors, "taskcache.yaml:")
        contains(r.errors, more)
        contains(r.errors, "^")
        equal(t.ctl("doctor", "-c", config, program, status=2).out, b"")
        # By hand the program runs, and the service's log tells.
        r = t.preload([program], config)
        equal((r.text, r.err, t.bodies()), ("5\n", b"", 1))
        t.wait(lambda: reason in t.ctl("log", "-c", config, status=None).text + t.ctl("log", status=None).text, f"{reason} in the log")

    return f


def tests():
    for name, (text, reason, more) in WRONG.items():
        yield f"bad input: {name}", wrong(text, reason, more)


def test_a_missing_config(t):
    program = t.cc(PROGRAM, "program")
    r = t.execute([t.cachectl, "run", "-c", t.dir / "nowhere.yaml", "--", program], status=125)
    contains(r.errors, "nowhere.yaml")
    equal(t.bodies(), 0)
    t.execute([t.cachectl, "stats", "-c", t.dir / "nowhere.yaml"], status=2)


def test_a_config_that_everybody_may_write(t):
    program = t.cc(PROGRAM, "program")
    config = t.config(GOOD)
    os.chmod(config, 0o666)
    r = t.run([program], config, status=125)
    contains(r.errors, "untrusted")
    equal(t.bodies(), 0)
    equal(t.preload([program], config).text, "5\n")


def test_a_cache_directory_that_everybody_may_write(t):
    program = t.cc(PROGRAM, "program")
    config = t.config(GOOD)
    open_dir = t.dir / "open"
    open_dir.mkdir()
    os.chmod(open_dir, 0o777)
    r = t.run([program], config, env={"TASKCACHE_DIR": open_dir}, status=125)
    contains(r.errors, "untrusted")


def uncached_with_one_warning(t, argv, config, reason, env=None, out="5\n"):
    r = t.run(argv, config, env=env)
    equal(r.text, out)
    contains(r.errors, reason)
    equal(len([line for line in r.errors.splitlines() if "taskcache" in line or "cachectl" in line]), 1, r.errors)


def test_a_store_of_another_format(t):
    program = t.cc(PROGRAM, "program")
    config = t.config(GOOD)
    t.run([program], config)
    t.ctl("service", "stop")
    t.wait(lambda: not t.service_pids(), "the service to leave")
    store = next((t.dir / "cache" / "taskcache").glob("store-*/data.mdb"))
    data = bytearray(store.read_bytes())
    for page in (0, 4096):  # the version in both meta pages
        struct.pack_into("<I", data, page + 20, 2)
    store.write_bytes(data)
    t.bodies()
    uncached_with_one_warning(t, [program], config, "store-format")
    equal(store.read_bytes(), bytes(data), "it isn't touched")
    equal(t.bodies(), 1)


def test_a_home_that_is_not_there_is_not_made(t):
    """Not even by somebody who could."""
    program = t.cc(PROGRAM, "program")
    home = t.dir / "no" / "home"
    env = {"HOME": str(home), "XDG_CACHE_HOME": None}
    for options, config in (((), t.config(GOOD)), (("--task", "int f(const double x[n], int n)"), None)):
        r = t.run([program], config, options=options, env=env)
        equal(r.text, "5\n")
        contains(r.errors, "no-cache-dir")
        equal(t.bodies(), 1)
    preloaded = {**env, "LD_PRELOAD": t.library, "TASKCACHE_CONFIG": t.config(GOOD)}
    equal(t.bare([program], env=preloaded).text, "5\n")
    equal(t.bodies(), 1)
    t.ctl("init", program, "f", env=env, status=2)
    equal(home.parent.exists(), False)


def test_a_service_that_does_not_start(t):
    program = t.cc(PROGRAM, "program")
    config = t.config(GOOD)
    (t.dir / "run" / "taskcache").write_text("not a directory")
    r = t.run([program], config)
    equal(r.text, "5\n")
    if not r.errors:
        raise Failure("nothing was said")
    equal(t.bodies(), 1)


def test_static_setuid_and_foreign_programs(t):
    config = t.config(GOOD)
    static = t.cc(PROGRAM, "static", ("-O2", "-static"))
    uncached_with_one_warning(t, [static], config, "static-executable")
    setuid = t.cc(PROGRAM, "setuid")
    os.chmod(setuid, 0o4755)
    uncached_with_one_warning(t, [setuid], config, "secure-exec")
    script = t.write("script", f"#!{static}\n")
    os.chmod(script, 0o755)
    uncached_with_one_warning(t, [script], config, "static-executable")


def test_statuses_of_env(t):
    config = t.config(GOOD)
    t.run(["/nonexistent/program"], config, status=127)
    t.run(["no-such-program-anywhere"], config, status=127)
    t.run([t.write("plain.txt", "x\n")], config, status=126)
    t.run(["sh", "-c", "exit 7"], config, status=7)
    r = subprocess.run([t.cachectl, "run", "-c", config, "--", "sh", "-c", "kill -TERM $$"], env=t.env, check=False)
    equal(r.returncode, -15)
    r = subprocess.run([t.cachectl, "run", "--stats", "-c", config, "--", "sh", "-c", "kill -TERM $$"], env=t.env, check=False, capture_output=True)
    equal(r.returncode, -15)


def test_refused_tasks_are_told_and_the_program_runs(t):
    source = r"""
#include <stdio.h>
int tiny(int x);
__asm__(".globl tiny\n.type tiny,@function\ntiny:\n ret\n.size tiny,.-tiny\n");
int loops(int x);
__asm__(".globl loops\n.type loops,@function\nloops:\n sub $1,%edi\n jg loops\n mov $7,%eax\n ret\n.size loops,.-loops\n");
int main(void)
{
    printf("%d\n", loops(3));
    tiny(1);
    return 0;
}
"""
    program = t.cc(source, "refused")
    config = t.config("defaults: { cache_policy: INPUTS }\ntasks:\n  - symbol: tiny\n    prototype: |\n      int tiny(int x)\n"
                      "  - symbol: loops\n    prototype: |\n      int loops(int x)\n  - symbol: gone@refused\n    prototype: |\n      int gone(int x)\n")
    r = t.run([program], config)
    equal(r.text, "7\n")
    for reason in ("too-short", "branch-to-entry", "not-found"):
        contains(r.errors, reason)
    d = t.ctl("doctor", "-c", config, program, status=1)
    for reason in ("too-short", "branch-to-entry", "not-found"):
        contains(d.text, reason)
    lacks(d.text, "pending: pending")
