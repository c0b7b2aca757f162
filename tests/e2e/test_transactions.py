"""Flows that are transactions: all of what their tasks stored lands, or nothing, whoever is killed when."""
import json
import os
import resource
import signal
import subprocess
import time

from harness import Failure, contains, equal

PROGRAM = r"""
#include <fcntl.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define TASK __attribute__((visibility("default"), noinline, noclone))
static void ran(const char *name)
{
    int fd = open(getenv("BODY_LOG"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || write(fd, name, strlen(name)) < 0 || write(fd, "\n", 1) < 0)
        _exit(99);
    close(fd);
}
TASK int f(int x)
{
    ran("f");
    return x * 10;
}
static unsigned char memory[3000000];
TASK int large(int x, unsigned char *out, size_t n)
{
    ran("large");
    memset(out, x, n);
    out[n - 1] = 0;
    return x;
}
static jmp_buf out;
static int commands(void);
TASK int flow(int x)
{
    return commands() + 0 * x;
}
TASK int inner(int x)
{
    return commands() + 0 * x;
}
/* One at a time, until "end R". */
static int commands(void)
{
    char line[100], word[20];
    int n = 0, r;
    while (fgets(line, sizeof line, stdin) && sscanf(line, "%19s %d", word, &n) >= 1) {
        if (strcmp(word, "end") == 0)
            return n;
        if (strcmp(word, "jump") == 0)
            longjmp(out, 1);
        if (strcmp(word, "exit") == 0)
            exit(0);
        r = strcmp(word, "f") == 0 ? f(n) : strcmp(word, "flow") == 0 ? flow(n) : strcmp(word, "inner") == 0 ? inner(n) : 0;
        if (strcmp(word, "large") == 0) {
            large(n, memory, sizeof memory);
            for (size_t i = 0; i < sizeof memory; i++)
                r += memory[i] == (unsigned char)n;
        }
        printf("%d\n", r);
        fflush(stdout);
    }
    exit(0);
}
int main(void)
{
    if (setjmp(out) != 0) {
        puts("jumped");
        fflush(stdout);
    }
    return commands();
}
"""
CONFIG = """
defaults: { cache_policy: INPUTS }
flows:
  - symbol: flow
    prototype: |
      int flow(int x)
    transaction: true
    success: 'return >= 0'
  - symbol: inner
    prototype: |
      int inner(int x)
    transaction: true
    success: 'return >= 0'
tasks:
  - symbol: f
    prototype: |
      int f(int x)
  - symbol: large
    prototype: |
      int large(int x, out unsigned char out[n], size_t n)
"""


class Talk:
    """The program, with a line in and a line out for each command; the bodies that it took."""

    def __init__(self, t, program, config):
        self.t = t
        self.p = subprocess.Popen([t.cachectl, "run", "-c", config, "--", program], env=t.env, stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1)

    def tell(self, line):
        self.p.stdin.write(line + "\n")
        self.p.stdin.flush()

    def ask(self, line):
        self.tell(line)
        answer = self.p.stdout.readline().strip()
        if not answer:
            raise Failure(f"'{line}' has no answer: {self.p.stderr.read()}")
        return answer, self.t.bodies()

    def end(self):
        self.p.stdin.close()
        return self.p.wait(120)


def begin(t, extra=""):
    program = t.cc(PROGRAM, "commands", flags=("-O2", "-rdynamic"))
    config = t.config(CONFIG + extra)
    return program, config, Talk(t, program, config)


def kept(t, config):
    return len(t.records(config))


def test_nobody_else_sees_it_before_it_lands(t):
    program, config, a = begin(t)
    b = Talk(t, program, config)
    a.tell("flow 1")
    equal(a.ask("f 1"), ("10", 1))
    equal(a.ask("f 2"), ("20", 1))
    equal(a.ask("f 1"), ("10", 0), "staged, it is a hit inside")
    equal(kept(t, config), 0, "ls shows nothing of it")
    contains(t.ctl("verify", "-c", config).text, "0 records")
    equal(b.ask("f 1"), ("10", 1), "another process runs it")
    equal(kept(t, config), 1)
    equal(a.ask("end 0"), ("0", 0))
    equal(kept(t, config), 2)
    equal(b.ask("f 2"), ("20", 0))
    equal((a.end(), b.end()), (0, 0))


def test_a_failed_flow_leaves_what_was_there(t):
    program, config, a = begin(t)
    equal(a.ask("f 1"), ("10", 1))
    a.tell("flow 1")
    equal(a.ask("f 1"), ("10", 0))
    equal(a.ask("f 2"), ("20", 1))
    equal(a.ask("end -1"), ("-1", 0))
    equal(kept(t, config), 1)
    equal(a.ask("f 2"), ("20", 1))
    a.end()


def test_large_results(t):
    """In chunks: they neither move when they land, nor stay when they are dropped."""
    program, config, a = begin(t)
    for end, records in (("end -1", 0), ("end 0", 1)):
        a.tell("flow 1")
        equal(a.ask("large 7"), ("2999999", 1))
        equal(a.ask("large 7"), ("2999999", 0))
        a.ask(end)
        equal(kept(t, config), records)
    equal(a.ask("large 7"), ("2999999", 0))
    contains(t.ctl("verify", "-c", config).text, "0 bad")
    a.end()
    equal(Talk(t, program, config).ask("large 7"), ("2999999", 0))


def test_a_jump_out_of_nested_flows_drops_them_all(t):
    program, config, a = begin(t)
    a.tell("flow 1")
    a.ask("f 1")
    a.tell("inner 1")
    a.ask("f 2")
    equal(a.ask("jump"), ("jumped", 0))
    equal(a.ask("f 3"), ("30", 1))
    equal(kept(t, config), 1)
    equal(a.ask("f 1"), ("10", 1))
    a.end()


def test_exit_inside_drops(t):
    program, config, a = begin(t)
    a.tell("flow 1")
    a.ask("f 1")
    a.tell("exit")
    equal(a.p.wait(120), 0)
    equal(kept(t, config), 0)


def test_the_program_is_killed(t):
    """Between two results; and while the end of the flow is on its way: then it is all or nothing."""
    program, config, a = begin(t)
    a.tell("flow 1")
    a.ask("f 1")
    a.ask("f 2")
    a.p.kill()
    a.p.wait(120)
    b = Talk(t, program, config)
    equal(b.ask("f 1"), ("10", 1))
    equal(b.ask("f 2"), ("20", 1))
    b.end()
    for i in range(12):
        a = Talk(t, program, config)
        a.tell("flow 1")
        for n in range(8):
            a.ask(f"f {1000 + 10 * i + n}")
        before = kept(t, config)
        a.tell("end 0")
        time.sleep(0.0003 * i)
        a.p.kill()
        a.p.wait(120)
        t.ctl("ls", "-c", config)  # whose greeting is answered when all that was sent is stored
        landed = kept(t, config) - before
        if landed not in (0, 8):
            raise Failure(f"{landed} of 8 results have landed")


def test_the_service_is_killed_inside(t):
    """Nothing of it lands, one line says so, the program goes on; so does a service that comes after it."""
    for restarted in (False, True):
        program, config, a = begin(t)
        a.tell("flow 1")
        a.ask("f 1")
        a.ask("f 2")
        t.kill_services()
        if restarted:
            t.ctl("gc", "-c", config)  # starts it
            time.sleep(1.1)  # the breaker
            equal(a.ask("f 3"), ("30", 1))
        equal(a.ask("end 0"), ("0", 0))
        if not restarted:
            t.ctl("gc", "-c", config)  # starts it
        equal(kept(t, config), 0)
        time.sleep(1.1)
        a.tell("flow 1")
        equal(a.ask("f 1"), ("10", 1))
        equal(a.ask("end 0"), ("0", 0))
        equal(kept(t, config), 1)
        equal(a.end(), 0)
        t.ctl("rm", "-c", config, "--all")


def test_one_line_says_that_it_is_lost(t):
    program, config, a = begin(t, "log: { level: error }\n")
    for _ in range(2):
        a.tell("flow 1")
        a.ask("f 1")
        a.ask("f 2")
        t.kill_services()
        equal(a.ask("end 0"), ("0", 0))
        t.ctl("gc", "-c", config)  # starts it
        time.sleep(1.1)
    equal(a.end(), 0)
    said = a.p.stderr.read()
    equal(said.count("transaction-lost"), 1, said)


def test_the_service_is_killed_while_it_commits(t):
    """All or nothing, at whatever moment."""
    program, config, a = begin(t)
    a.end()
    for i in range(12):
        a = Talk(t, program, config)
        a.tell("flow 1")
        for n in range(8):
            a.ask(f"f {1000 + 10 * i + n}")
        before = kept(t, config)
        pids = t.service_pids()
        a.tell("end 0")
        time.sleep(0.0003 * i)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        equal(a.p.stdout.readline().strip(), "0")
        equal(a.end(), 0)
        t.wait(lambda: not t.service_pids(), "the service to die")
        t.ctl("gc", "-c", config)  # starts it
        landed = kept(t, config) - before
        if landed not in (0, 8):
            raise Failure(f"{landed} of 8 results have landed")
        contains(t.ctl("verify", "-c", config).text, "0 bad")


def test_the_disk_is_full_when_it_lands(t):
    """All or nothing, one line says so; the program goes on, and the next one lands. (As large as files may grow, which LMDB meets like a full disk.)"""
    program, config, a = begin(t)
    a.tell("flow 1")
    for n in range(300):
        a.ask(f"f {n}")
    [pid] = t.service_pids()
    [data] = (t.dir / "cache").rglob("data.mdb")
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    for size in (4096, data.stat().st_size // 2):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
        equal(a.ask("end 0"), ("0", 0))
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
        landed = kept(t, config)
        if landed not in (0, 300):
            raise Failure(f"{landed} of 300 results have landed")
        if size == 4096:
            equal(landed, 0)
            contains(t.ctl("log", "-c", config).text, "records can't be stored")
        t.ctl("rm", "-c", config, "--all")
        a.tell("flow 1")
        for n in range(300):
            a.ask(f"f {n}")
    equal(a.ask("end 0"), ("0", 0))
    equal(kept(t, config), 300)
    equal(a.ask("f 299"), ("2990", 0))
    contains(t.ctl("verify", "-c", config).text, "0 bad")
    equal(a.end(), 0)
    equal(t.service_pids(), [pid], "it is the same service")


def test_rm_all_in_the_middle_takes_it_too(t):
    program, config, a = begin(t)
    a.tell("flow 1")
    a.ask("f 1")
    t.ctl("rm", "-c", config, "--all")
    a.ask("f 2")
    a.ask("end 0")
    equal(kept(t, config), 0)
    a.tell("flow 1")
    a.ask("f 1")
    a.ask("end 0")
    equal(kept(t, config), 1)
    a.end()


def test_what_a_long_process_has_given_up_is_swept(t):
    """A program that leaves its transactions by jumps fills nothing."""
    program, config, a = begin(t)
    for _ in range(3):
        a.tell("flow 1")
        equal(a.ask("large 1"), ("2999999", 1))
        a.ask("jump")
    a.ask("f 1")
    size = lambda: json.loads(t.ctl("stats", "-c", config, "--json").out)["size_bytes"]
    t.wait(lambda: size() < 100_000, "the staged results to go")
    a.end()


THROWS = r"""
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <stdexcept>
#include <unistd.h>
#define TASK extern "C" __attribute__((visibility("default"), noinline, noclone))
TASK int f(int x)
{
    int fd = open(getenv("BODY_LOG"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || write(fd, "f\n", 2) < 0)
        _exit(99);
    close(fd);
    return x * 10;
}
TASK int flow(int x)
{
    int r = f(x) + f(x);
    if (x < 0)
        throw std::runtime_error("negative");
    return r;
}
int main()
{
    for (int i = 0; i < 3; i++) {
        try {
            std::printf("%d\n", flow(i % 2 != 0 ? -1 : 1));
        } catch (const std::exception &e) {
            std::printf("%s\n", e.what());
        }
    }
    std::printf("%d\n", f(-1));
}
"""


def test_an_exception_through_the_flow_drops(t):
    program = t.cc(t.write("throws.cc", THROWS), "throws", flags=("-O2", "-rdynamic"))
    expected = t.bare([program]).out
    equal(t.bodies(), 7)
    config = t.config("""
defaults: { cache_policy: INPUTS }
flows:
  - symbol: flow
    prototype: |
      int flow(int x)
    transaction: true
tasks:
  - symbol: f
    prototype: |
      int f(int x)
""")
    equal(t.run([program], config=config).out, expected)
    equal(t.bodies(), 3, "f(1) once; f(-1) in the flow that is left, and after it")
    equal(kept(t, config), 2)
    equal(t.run([program], config=config).out, expected)
    equal(t.bodies(), 0)


def test_a_killed_programs_process_is_watched_no_more(t):
    """The transaction still had a descriptor of it when the connection was gone: the service was told of its end again and again, by
    what lay where the connection had been, and forgot to read others'."""
    program, config, a = begin(t)
    ticks = lambda: sum(int(n) for n in open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[11:13])
    a.ask("f 99")
    pid, = t.service_pids()
    a.end()
    for i in range(5):
        a = Talk(t, program, config)
        a.tell("flow 1")
        equal(a.ask(f"f {i}"), (str(10 * i), 1))
        before = ticks()
        a.p.kill()
        a.p.wait(120)
        b = Talk(t, program, config)
        equal(b.ask(f"f {100 + i}"), (str(1000 + 10 * i), 1))
        time.sleep(0.3)
        equal(b.ask(f"f {100 + i}"), (str(1000 + 10 * i), 0))
        b.end()
        used = (ticks() - before) / os.sysconf("SC_CLK_TCK")
        if used > 0.2:
            raise Failure(f"the service computed for {used} s")
    equal(kept(t, config), 6)
