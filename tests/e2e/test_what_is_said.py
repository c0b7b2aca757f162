"""What is said to somebody who has never seen it: usage, refusals and reports that were wrong or missing once."""
import json
import os
import re
import subprocess
import sys
import time

from harness import contains, equal, lacks

PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
struct grid { int rows, cols; double *y; };
__attribute__((noinline)) double total(const struct grid *g)
{
    FILE *log = fopen(getenv("BODY_LOG"), "a");
    double sum = 0;
    fputs("total\n", log);
    fclose(log);
    for (int i = 0; i < g->rows * g->cols; i++)
        sum += g->y[i];
    return sum;
}
__attribute__((noinline)) void *twice(const void *from, size_t n)
{
    FILE *log = fopen(getenv("BODY_LOG"), "a");
    unsigned char *to = malloc(2 * n);
    fputs("twice\n", log);
    fclose(log);
    memcpy(to, from, n);
    memcpy(to + n, from, n);
    return to;
}
int main(void)
{
    double y[] = {1, 2, 3, 4};
    struct grid g = {2, 2, y};
    unsigned char *t = twice("ab", 2);
    printf("%g %.4s\n", total(&g), (char *)t);
    free(t);
    return 0;
}
"""
TOTAL = """
tasks:
  - symbol: total
    prototype: |
      double total(in struct grid *g)
    cache_policy: INPUTS + TASK_SOURCE_DEEP
"""
WITHOUT = "types: |\n  struct grid { int rows, cols; double *y; };" + TOTAL
WITH = "types: |\n  struct grid { int rows, cols; double (*y)[rows * cols]; };" + TOTAL


def doctor(t, config, program):
    return json.loads(t.ctl("doctor", "-c", config, "--json", program).out)["tasks"][0]


def test_doctor_knows_what_never_has_a_key(t):
    program = t.cc(PROGRAM, "program")
    task = doctor(t, t.config(WITHOUT), program)
    equal((task["caching"], task["caching_reason"], task["caching_parameter"], task["policy"]), (False, "opaque-input", "g", None))
    contains(t.ctl("doctor", "-c", t.config(WITHOUT), program).text, "off: opaque-input: what this pointer leads to isn't known: it can't be part of a key (parameter 'g')")
    for rest in (WITHOUT.replace("INPUTS +", "INPUTS - g +"), WITHOUT.replace("INPUTS + ", ""), WITHOUT.replace("in struct", "ignore struct"), WITH):
        equal(doctor(t, t.config(rest), program)["caching"], True, rest)


def test_doctor_names_each_member_of_the_policy_once(t):
    task = doctor(t, t.config(WITH), t.cc(PROGRAM, "program"))
    equal(task["policy"], "INPUTS + TASK_SOURCE_DEEP")


def test_blocks_of_bytes(t):
    program = t.cc(PROGRAM, "program")
    config = t.config("tasks:\n  - symbol: twice\n    prototype: |\n      malloc(2 * n) void *twice(const void from[n], size_t n)\n    cache_policy: INPUTS\n")
    bare = t.bare([program])
    t.bodies()
    for expected in (2, 1):  # `total` is no task
        equal(t.run([program], config).out, bare.out)
        equal(t.bodies(), expected)
    contains(t.ctl("show", "-c", config, t.records(config)[0]["key"]).text, "return       uint8_t[4] {97, 98, 97, 98}")


def test_show_counts_the_bytes_of_what_is_followed(t):
    program = t.cc(PROGRAM, "program")
    config = t.config(WITH)
    t.run([program], config)
    contains(t.ctl("show", "-c", config, t.records(config)[0]["key"]).text, "g            byte[48] 0200000002000000")


def test_a_forgotten_value_isnt_the_next_option(t):
    r = t.ctl("run", "--verify", "--task", "int f(int x)", "--", "true", status=125)
    contains(r.errors, "--verify needs a value")


def test_programs_that_cant_be_run(t):
    config = t.config(WITH)
    contains(t.ctl("run", "-c", config, "--", "no-such-program", status=127).errors, "no-such-program: no-program: there is no such program\n  try: ")
    contains(t.ctl("run", "-c", config, "--", t.write("text.c", "x"), status=126).errors, "not-executable: ")


def test_nothing_that_is_there_is_written_over(t):
    kept = t.write("kept.yaml", "mine")
    program = t.cc(PROGRAM, "program", ("-g", "-O2"))
    contains(t.ctl("init", "-o", kept, program, "total", status=2).errors, "kept.yaml: not-written: it is there already")
    equal(open(kept).read(), "mine")
    t.ctl("plugins", "new", "mine")
    contains(t.ctl("plugins", "new", "mine", status=2).errors, "mine: not-written: it is there already")


def other_version(t):
    """A service of another version, as far as others see it: the lock, and a socket with another name."""
    cache = t.dir / "cache" / "taskcache"
    cache.mkdir(mode=0o700)
    (t.dir / "run" / "taskcache").mkdir(mode=0o700)
    st = cache.stat()
    code = "import fcntl,socket,sys,time\nf = open(sys.argv[1], 'w')\nfcntl.flock(f, fcntl.LOCK_EX)\n" \
           "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\ns.bind(sys.argv[2])\ns.listen(9)\nprint('up', flush=True)\ntime.sleep(300)\n"
    p = subprocess.Popen([sys.executable, "-c", code, cache / "lock", t.dir / "run" / "taskcache" / f"{st.st_dev:x}-{st.st_ino:x}.v1.sock"], stdout=subprocess.PIPE)
    equal(p.stdout.readline(), b"up\n")
    return p


def test_a_service_of_another_version(t):
    program = t.cc(PROGRAM, "program", ("-g", "-O2"))
    config = t.config(WITH)
    bare = t.bare([program])
    other = other_version(t)
    try:
        t.bodies()
        r = t.run([program], config)
        equal((r.out, t.bodies()), (bare.out, 2))
        contains(r.errors, f"another version of taskcache serves it, as process {other.pid}")
        contains(r.errors, "try: end it by `cachectl service stop`")
        r = t.ctl("init", program, "total", status=2)
        contains(r.errors, "service-version: ")
        lacks(r.errors, "not-found")
        contains(t.ctl("doctor", "-c", config, program, status=2).errors, "service-version: ")
        contains(t.ctl("service", "status", "-c", config, status=1).text, f"running in another version, pid {other.pid}")
        status = json.loads(t.ctl("service", "status", "--json", status=1).out)
        equal((status["running"], status["pid"], status["other_version"]), (False, other.pid, True))
        equal(t.ctl("service", "stop").text, "stopped\n")
        equal(other.wait(60), -15)
    finally:
        other.kill()
        other.wait()
    for expected in (2, 1):
        equal(t.run([program], config).out, bare.out)
        equal(t.bodies(), expected)


def test_an_empty_cache(t):
    for command, text in (("ls", []), ("why", []), ("log", [])):
        equal(json.loads(t.ctl(command, "--json").out), text)
    contains(t.ctl("why").text, "nothing is cached yet in")
    contains(t.ctl("why", "total", status=2).errors, "nothing is cached yet in")
    contains(t.ctl("show", "abcd", status=2).errors, "nothing is cached yet in")


def test_why_knows_that_results_may_lie_in_a_storage(t):
    program = t.cc(PROGRAM, "program")
    config = t.config(WITH.replace("tasks:", "storages: { fast: { type: lmdb, path: fast } }\ntasks:") + "    result_storage: fast\n")
    t.run([program], config)
    contains(t.ctl("why", "-c", config).text, "`--storage NAME`")
    contains(t.ctl("why", "-c", config, "--storage", "fast").text, "first: no record of this task")


def test_variables_that_mean_nothing(t):
    program, config = t.cc(PROGRAM, "program"), t.config(WITH)
    for name, value, reason in (("TASKCACHE_DISABLE_CACHING", "maybe", "bad-boolean"), ("TASKCACHE_VERIFY", "200%", "bad-share"),
                                ("TASKCACHE_LOG", "loud", "bad-value"), ("TASKCACHE_CONFIG", "taskcache.yaml", "bad-value")):
        said = f"{name}: {reason}: '{value}' "
        contains(t.run([program], config, env={name: value}).errors, said)
        contains(t.ctl("doctor", "-c", config, program, env={name: value}).errors, said)
    for name, value in (("TASKCACHE_DISABLE_CACHING", "0"), ("TASKCACHE_VERIFY", "1%"), ("TASKCACHE_LOG_FILE", "log"), ("TASKCACHE_REFRESH_CACHE", "")):
        equal(t.run([program], config, env={name: value}).errors, "")


def test_words_that_mean_nothing(t):
    contains(t.ctl("lss", status=2).errors, "there is no command 'lss'; try: `cachectl ls`")
    contains(t.ctl("help", "xyzzy", status=2).errors, "there is no command 'xyzzy'; see `cachectl help`")
    t.run([t.cc(PROGRAM, "program")], t.config(WITH))
    contains(t.ctl("why", "a", "b", "c", status=2).errors, "a: no task is called so; of keys it takes one or two")


def test_configs_of_command_lines_dont_pile_up(t):
    """What was made for `--task` goes when nobody has used it for long, and stays while somebody does."""
    program = t.cc(PROGRAM, "program")
    cache = t.dir / "cache" / "taskcache"
    used = ("--task", "int used(int x)")
    for task in (used, ("--task", "int left(int x)")):
        t.run([program], options=task)
    t.ctl("service", "stop")
    files = {re.search(r"symbol: '?(\w+)", f.read_text())[1]: f for f in cache.glob("tasks-*.yaml")}
    for f in files.values():
        os.utime(f, (time.time() - 91 * 86400,) * 2)
    t.run([program], options=used)
    t.wait(lambda: not files["left"].exists(), "what is old to go")
    equal(files["used"].exists(), True)


def test_source_of_what_isnt_there(t):
    contains(t.ctl("source", t.dir / "nothing", "total", status=2).errors, "nothing: no-program: it can't be read: No such file or directory")
    program = t.cc('#include <stdio.h>\nvoid say(void);\nvoid say(void) { fputs("one\\n\\ttwo", stdout); }\nint main(void) { say(); return 0; }\n', "says", ("-O1",))
    contains(t.ctl("source", program, "say").text, "one\\n\\ttwo")
