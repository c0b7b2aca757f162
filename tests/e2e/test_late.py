"""A service that doesn't answer in time: nobody waits for it for long, and what was sent to it is stored when it goes on."""
import signal
import subprocess

from harness import Failure, equal

PROGRAM = r"""
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
__attribute__((noinline, noclone)) int f(int x)
{
    int fd = open(getenv("BODY_LOG"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || write(fd, "f\n", 2) < 0)
        _exit(99);
    close(fd);
    return x * 3;
}
__attribute__((noinline, noclone)) void fill(int x, unsigned char *to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (unsigned char)(i * 7 + (size_t)x);
}
static unsigned char large[300000];
int main(int argc, char **argv)
{
    long sum = f(0);
    puts("ready");
    fflush(stdout);
    if (getchar() == EOF)
        return 1;
    for (int i = 1; i <= atoi(argv[1]); i++)
        sum += f(i);
    for (int i = 0; argc > 2 && i < atoi(argv[2]); i++) {
        fill(i, large, sizeof large);
        sum += large[sizeof large - 1];
    }
    printf("%ld\n", sum);
    return 0;
}
"""
CONFIG = """
defaults: {{ cache_policy: INPUTS{more} }}
tasks:
  - symbol: f
    prototype: |
      int f(int x)
  - symbol: fill
    prototype: |
      void fill(int x, out unsigned char to[n], size_t n)
"""


def ready(t, more=""):
    t.env["TASKCACHE_TEST_DEADLINE_MS"] = "50"
    program, config = t.cc(PROGRAM, "program"), t.config(CONFIG.format(more=more))
    t.execute([t.taskcached, "--config", config])
    return program, config


def run_while_it_is_stopped(t, program, config, *counts):
    """The program ends although the service can't do anything."""
    p = subprocess.Popen([t.cachectl, "run", "-c", config, "--", program, *map(str, counts)], env=t.env, stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, text=True)
    equal(p.stdout.readline(), "ready\n")
    t.kill_services(signal.SIGSTOP)
    try:
        out = p.communicate("\n", timeout=300)[0]
    finally:
        t.kill_services(signal.SIGCONT)
    equal(p.returncode, 0)
    return out


def all_is_there(t, more):
    program, config = ready(t, more)
    bare = t.bare([program, "60"], stdin=b"\n").text
    t.bodies()
    equal("ready\n" + run_while_it_is_stopped(t, program, config, 60), bare)
    equal(t.bodies(), 61)
    t.wait(lambda: len(t.records(config)) == 61, "all results to be stored")
    equal(t.run([program, "60"], config, stdin=b"\n").text, bare)
    equal(t.bodies(), 0)


def test_results_wait_in_the_socket(t):
    all_is_there(t, "")


def test_also_those_that_are_sent_ahead(t):
    all_is_there(t, ", store: async")


def test_what_doesnt_fit_is_dropped(t):
    """Nobody waits for room again and again."""
    program, config = ready(t)
    bare = t.bare([program, "3000", "20"], stdin=b"\n").text
    t.bodies()
    equal("ready\n" + run_while_it_is_stopped(t, program, config, 3000, 20), bare)
    equal(t.bodies(), 3001)
    t.wait(lambda: len(t.records(config)) >= 100, "results to be stored")
    count = t.stats(config)["bypass_reasons"].get("send-dropped", 0)
    if count < 1000:
        raise Failure(f"{count} results were dropped")
    equal(t.run([program, "3000", "20"], config, stdin=b"\n").text, bare)
