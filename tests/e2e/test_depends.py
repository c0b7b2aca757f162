"""`depends:` and `deep_stop:`: what else the result depends on."""
import os
import time

from harness import contains, equal

PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifndef HELPER
#define HELPER 3
#endif
struct setting { char kind; double factor; };
static int table[4] = {1, 2, 3, 4};
struct setting setting = {'a', 2};
__attribute__((noinline)) int helper(int x) { return x * HELPER; }
int (*volatile hidden)(int) = helper;

__attribute__((noinline, noclone)) double solve(int n)
{
    char line[64] = "0";
    FILE *f = fopen(getenv("BODY_LOG"), "a");
    fprintf(f, "solve\n");
    fclose(f);
    f = fopen(getenv("TABLE"), "r");
    if (f != NULL && fgets(line, sizeof line, f) == NULL)
        line[0] = 0;
    if (f != NULL)
        fclose(f);
    return hidden(n) + table[n % 4] * setting.factor + atoi(line);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "table=", 6) == 0)
            table[1] = atoi(argv[i] + 6);
        else if (strncmp(argv[i], "factor=", 7) == 0)
            setting.factor = atof(argv[i] + 7);
        else
            printf("%.17g\n", solve(atoi(argv[i])));
    }
    return 0;
}
"""

CONFIG = """
tasks:
  - symbol: solve
    prototype: 'double solve(int n)'
    cache_policy: POLICY
    depends: DEPENDS
"""


def config_of(t, depends, policy="INPUTS + TASK_SOURCE"):
    return t.config(CONFIG.replace("POLICY", policy).replace("DEPENDS", depends))


class Runs:
    def __init__(self, t, config):
        self.t, self.config, self.env = t, config, {"TABLE": str(t.dir / "data" / "table.txt"), "TASKCACHE_LOG": "error"}

    def check(self, program, *args, ran, errors=""):
        t = self.t
        bare = t.bare([program, *args], env=self.env)
        t.bodies()
        r = t.run([program, *args], self.config, env=self.env)
        equal(r.out, bare.out, args)
        equal(t.bodies(), ran, args)
        if errors:
            contains(r.errors, errors)
        else:
            equal(r.errors, "", args)


def write_table(t, text):
    """As if it had been there for a while: a young file is digested anew each time."""
    path = t.write("data/table.txt", text)
    os.utime(path, (time.time() - 100, time.time() - 100))


def test_a_file(t):
    p = t.cc(PROGRAM, "program")
    for policy in ("INPUTS + TASK_SOURCE", "TASK_SOURCE"):
        r = Runs(t, config_of(t, "[ ./data/table.txt ]", policy))
        write_table(t, "100\n")
        r.check(p, "1", "1", ran=1)
        r.check(p, "1", ran=0)
        write_table(t, "200\n")
        r.check(p, "1", "1", ran=1)
        write_table(t, "100\n")
        r.check(p, "1", ran=0)
        os.unlink(t.dir / "data" / "table.txt")
        r.check(p, "1", "1", ran=2, errors="dependency-missing")
        contains(r.t.run([p, "1"], r.config, env=r.env).errors, "'./data/table.txt'")
        r.t.ctl("rm", "-c", r.config, "--all")


def test_a_function(t):
    a = t.cc(PROGRAM, "program", ("-O2", "-DHELPER=3"))
    os.rename(a, t.dir / "a")
    b = t.cc(PROGRAM, "program", ("-O2", "-DHELPER=4"))
    os.rename(b, t.dir / "b")
    os.mkdir(t.dir / "bin")
    program = str(t.dir / "bin" / "program")
    r = Runs(t, config_of(t, "[ helper ]"))
    write_table(t, "0\n")
    for build, ran in (("a", 1), ("b", 1), ("a", 0), ("b", 0)):
        os.rename(t.dir / build, program)
        r.check(program, "1", ran=ran)
        os.rename(program, t.dir / build)
    # Named twice, or narrowed, it is what it was asked for; without it, the helper isn't seen.
    r = Runs(t, config_of(t, "[]"))
    os.rename(t.dir / "a", program)
    r.check(program, "1", ran=1)
    os.rename(program, t.dir / "a")
    os.rename(t.dir / "b", program)
    equal(t.run([program, "1"], r.config, env=r.env).text, t.bare([t.dir / "a", "1"], env=r.env).text)


def test_variables(t):
    for flags in (("-O2",), ("-O2", "-g")):
        p = t.cc(PROGRAM, "program", flags)
        r = Runs(t, config_of(t, "[ table, program.c:table, setting ]".replace("program.c:table, ", "")))
        write_table(t, "0\n")
        r.check(p, "1", ran=1)
        r.check(p, "1", ran=0)
        r.check(p, "table=9", "1", ran=1)
        r.check(p, "factor=0.5", "1", "table=9", "1", ran=2)
        r.check(p, "factor=0.5", "1", "table=9", "1", ran=0)
        text = t.ctl("doctor", "-c", r.config, p).text
        contains(text, "int table[4]" if "-g" in flags else "table[16]")
        t.ctl("rm", "-c", r.config, "--all")


def test_what_isnt_there_is_said(t):
    p = t.cc(PROGRAM, "program")
    write_table(t, "0\n")
    for depends, what in (
        ("[ nosuch ]", "'nosuch'"),
        ("[ helper, other.c:helper ]", "'other.c:helper'"),
        ("[ helper@libc.so* ]", "is of another object"),
    ):
        r = Runs(t, config_of(t, depends))
        r.check(p, "1", "1", ran=2, errors="depends-not-found")
        r.check(p, "1", "1", ran=2, errors=what)
    r = Runs(t, config_of(t, "[ helper@program ]"))
    r.check(p, "1", "1", ran=1)
    for depends, reason in (("helper", "wrong-type"), ("[ [ x ] ]", "wrong-type"), ("[ 'a@' ]", "bad-symbol")):
        x = t.ctl("doctor", "-c", config_of(t, depends), p, status=None)
        contains(x.errors, "taskcache.yaml:6:")
        contains(x.errors, reason)
        contains(x.errors, "^\n")


def build_chain(t, name, number):
    t.cc(f"int lowest(int x) {{ return x + {number}; }}\n", "liblowest.so", ("-O2", "-fPIC", "-shared", "-Wl,--build-id"))
    os.makedirs(t.dir / name, exist_ok=True)
    os.rename(t.dir / "liblowest.so", t.dir / name / "liblowest.so")


def test_deep_stop(t):
    """Where TASK_SOURCE_DEEP ends is the task's to say."""
    for number in (1, 2):
        build_chain(t, f"v{number}", number)
    p = t.cc(r"""
#include <stdio.h>
#include <stdlib.h>
int lowest(int x);
__attribute__((noinline, noclone)) int solve(int n)
{
    FILE *f = fopen(getenv("BODY_LOG"), "a");
    fprintf(f, "solve\n");
    fclose(f);
    return lowest(n);
}
int main(void) { printf("%d\n", solve(1)); return 0; }
""", "deep", ("-O2", "-L" + str(t.dir / "v1"), "-llowest"))
    for stop, again in (("", 1), ("    deep_stop: [ default ]\n", 1), ("    deep_stop: [ default, 'liblow*.so' ]\n", 0), ("    deep_stop: []\n", 1)):
        config = t.config("tasks:\n  - symbol: solve\n    prototype: 'int solve(int n)'\n    cache_policy: INPUTS + TASK_SOURCE_DEEP\n" + stop)
        outs = []
        for name, ran in (("v1", 1), ("v1", 0), ("v2", again)):
            r = t.run([p], config, env={"LD_LIBRARY_PATH": str(t.dir / name)})
            equal(r.errors, "", stop)
            equal(t.bodies(), ran, (stop, name))
            outs.append(r.text)
        equal(outs, ["2\n", "2\n", "3\n" if again else "2\n"], stop)
        t.ctl("rm", "-c", config, "--all")
    config = t.config("tasks:\n  - symbol: solve\n    prototype: 'int solve(int n)'\n    deep_stop: [ ./x.so ]\n")
    contains(t.ctl("doctor", "-c", config, p, status=None).errors, "taskcache.yaml:4:18: bad-value: ")
