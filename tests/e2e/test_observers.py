"""Observers: told of hits, misses, stores and bypasses, outside of the programs; whatever they do, those and the service go on."""
import re

from harness import ROOT, contains, equal

PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
__attribute__((noinline, noclone)) int f(int x)
{
    FILE *log = fopen(getenv("BODY_LOG"), "a");
    fputs("f\n", log);
    fclose(log);
    return x * 2;
}
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        printf("%d\n", f(atoi(argv[i])));
    return 0;
}
"""
TASKS = "tasks:\n  - symbol: f\n    prototype: 'int f(int x)'\n    cache_policy: INPUTS\n    skip: x == 9\n"
BAD = r"""
#include <stdlib.h>
#include <unistd.h>
#include <taskcache/plugin.h>
static void notify(void *data, const struct taskcache_event *e) { (void)data, (void)e; %s }
static int init(const struct taskcache_host *host, struct taskcache_error *error)
{
    static const struct taskcache_observer o = {sizeof o, 0, "bad", NULL, notify};
    (void)error;
    return host->add_observer(host, &o);
}
TASKCACHE_PLUGIN_OF_CODE("bad", "1.0", "MIT", "Bad", 0, init);
"""


def sums(path):
    found = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        m = re.fullmatch(r"\d+ f@program (\w+) (\d+) [0-9.]+ ms ?([a-z-]*)", line)
        key = m[1] + (" " + m[3] if m[3] else "")
        found[key] = found.get(key, 0) + int(m[2])
    return found


def test_what_became_of_calls_is_told(t):
    seen = t.dir / "seen"
    config = t.config(f"plugins: [ {{ path: {t.build}/plugin-api/examples/observer/observer.so, options: {{ file: '{seen}' }} }} ]\n" + TASKS)
    program = t.cc(PROGRAM, "program")
    equal(t.run([program, "1", "2", "1", "1", "9"], config).text, "2\n4\n2\n2\n18\n")
    expected = {"hits": 2, "misses": 2, "stored": 2, "bypassed skipped": 1}
    t.wait(lambda: sums(seen) == expected, f"{expected}, seen {sums(seen)}", 20)
    equal(t.run([program, "1"], config).text, "2\n")
    t.ctl("service", "stop")  # what it was told before comes through
    t.wait(lambda: sums(seen) == {**expected, "hits": 3}, f"the third hit, seen {sums(seen)}", 20)


def test_programs_never_load_it(t):
    seen = t.dir / "seen"
    config = t.config(f"plugins: [ {{ path: {t.build}/plugin-api/examples/observer/observer.so, options: {{ file: '{seen}' }} }} ]\n" + TASKS)
    program = t.cc(PROGRAM.replace("#include <stdlib.h>", "#include <stdlib.h>\n#include <string.h>").replace("    return 0;\n}", r"""
    char line[4096];
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps))
        if (strstr(line, "observer.so"))
            puts("loaded");
    fclose(maps);
    return 0;
}"""), "program")
    equal(t.run([program, "1", "1"], config).text, "2\n2\n")


def test_a_crash_is_begun_again_and_given_up(t):
    t.cc(t.write("bad.c", BAD % "abort();"), "bad.so", flags=("-shared", "-fPIC", f"-I{ROOT}/plugin-api/include"))
    config = t.config("plugins: [ ./bad.so ]\n" + TASKS)
    program = t.cc(PROGRAM, "program")
    for x in "12":
        equal(t.run([program, x, x], config).text, f"{2 * int(x)}\n" * 2)
        t.wait(lambda: t.ctl("log", "-c", config).text.count("plugin bad: its observer crashed") >= int(x), "the log's line", 20)
    equal(t.bodies(), 2)
    contains(t.ctl("log", "-c", config).text, "it is begun again")


def test_one_that_hangs_holds_nobody_up(t):
    t.cc(t.write("bad.c", BAD % "for (;;) pause();"), "bad.so", flags=("-shared", "-fPIC", f"-I{ROOT}/plugin-api/include"))
    config = t.config("plugins: [ ./bad.so ]\n" + TASKS)
    program = t.cc(PROGRAM, "program")
    equal(t.run([program, "1", "1"], config).text, "2\n2\n")
    t.wait(lambda: "its observer crashed, or took longer" in t.ctl("log", "-c", config).text, "the log's line", 30)
    equal(t.run([program, "1"], config).text, "2\n")
    equal(t.bodies(), 1)
    t.ctl("service", "stop")
    t.wait(lambda: not t.service_pids(), "the service to leave", 20)
