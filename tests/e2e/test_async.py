"""`store: async`: calls return when their results are sent; who looks for one of them waits."""
import os
import signal
import subprocess

from harness import Failure, equal

PROGRAM = r"""
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void ran(void)
{
    int fd = open(getenv("BODY_LOG"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || write(fd, "f\n", 2) < 0)
        _exit(99);
    close(fd);
}
__attribute__((noinline, noclone)) void fill(int x, unsigned char *to, size_t n)
{
    ran();
    for (size_t i = 0; i < n; i++)
        to[i] = (unsigned char)(i * 7 + (size_t)x);
}
static unsigned sum(int x, size_t n)
{
    unsigned char *to = calloc(1, n);
    unsigned s = 0;
    fill(x, to, n);
    for (size_t i = 0; i < n; i++)
        s = s * 31 + to[i];
    free(to);
    return s;
}
static size_t bytes;
static void *twenty(void *from)
{
    unsigned s = 0;
    for (int i = 0; i < 20; i++)
        s += sum((int)(long)from + i, bytes);
    return (void *)(long)s;
}
/* COMMANDS: a number calls; `?` waits for a line; `t` five threads at a hundred others, and then each at the next one's. */
int main(int argc, char **argv)
{
    bytes = strtoul(argv[1], NULL, 10);
    for (int i = 2; i < argc; i++) {
        if (*argv[i] == '?') {
            puts("?");
            fflush(stdout);
            if (getchar() == EOF)
                return 1;
        } else if (*argv[i] == 't') {
            for (long round = 0; round < 2; round++) {
                pthread_t t[5];
                void *r;
                for (long k = 0; k < 5; k++)
                    if (pthread_create(&t[k], NULL, twenty, (void *)(1000 + (k + round) % 5 * 20)) != 0)
                        return 1;
                for (int k = 0; k < 5; k++) {
                    pthread_join(t[k], &r);
                    printf("%u\n", (unsigned)(long)r);
                }
            }
        } else {
            printf("%u\n", sum(atoi(argv[i]), bytes));
        }
    }
    return 0;
}
"""
CONFIG = """
tasks:
  - symbol: fill
    prototype: |
      void fill(int x, out unsigned char to[n], size_t n)
    cache_policy: INPUTS
    store: async
"""


class Talk:
    """A program that waits for lines."""

    def __init__(self, t, program, config, *words):
        self.p = subprocess.Popen([t.cachectl, "run", "-c", config, "--", program, *map(str, words)], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=t.env, text=True)
        self.said = ""

    def until_it_waits(self):
        for line in self.p.stdout:
            if line == "?\n":
                return
            self.said += line
        raise Failure("it ended: " + self.p.stderr.read())

    def go_on(self):
        self.p.stdin.write("\n")
        self.p.stdin.flush()

    def end(self):
        out, errors = self.p.communicate(timeout=60)
        equal((self.p.returncode, errors), (0, ""))
        return self.said + out


def bare(t, program, *words):
    out = t.bare([program, *(w for w in words if w != "?")]).text
    t.bodies()
    return out


def test_calls_go_on_while_the_service_is_stopped(t):
    """Waiting for one acknowledgement, the second call would find the breaker open and drop its result."""
    program, config = t.cc(PROGRAM, flags=("-O2", "-pthread")), t.config(CONFIG)
    words = [100, 0, 0, "?", *range(1, 31), "?"]
    expected = bare(t, program, *words)
    talk = Talk(t, program, config, *words)
    talk.until_it_waits()
    [pid] = t.service_pids()
    os.kill(pid, signal.SIGSTOP)
    talk.go_on()
    talk.until_it_waits()
    equal(t.bodies(), 31)
    os.kill(pid, signal.SIGCONT)
    talk.go_on()
    equal(talk.end(), expected)
    equal(t.run([program, 100, 0, *range(31)], config=config).text, expected)
    equal(t.bodies(), 0)


def test_a_look_up_waits_for_what_is_under_way(t):
    program, config = t.cc(PROGRAM, flags=("-O2", "-pthread")), t.config(CONFIG)
    words = [60000, *(i for i in range(100) for _ in range(2)), "t"]
    expected = bare(t, program, *words)
    equal(t.run([program, *words], config=config).text, expected)
    equal(t.bodies(), 200)
    equal(t.run([program, *words], config=config).text, expected)
    equal(t.bodies(), 0)


def test_many_large_results(t):
    """More than a socket takes, and than a memfd each should hold at once."""
    program, config = t.cc(PROGRAM, flags=("-O2", "-pthread")), t.config(CONFIG)
    words = [3000000, *range(30), *range(30)]
    expected = bare(t, program, *words)
    equal(t.run([program, *words], config=config).text, expected)
    equal(t.bodies(), 30)
    equal(t.run([program, *words], config=config).text, expected)
    equal(t.bodies(), 0)


def test_the_service_is_killed_while_results_are_under_way(t):
    """They are lost, and run again; nothing else happens."""
    program, config = t.cc(PROGRAM, flags=("-O2", "-pthread")), t.config(CONFIG)
    words = [100, 0, 0, "?", *range(1, 11), "?", *range(11), "?"]  # twice: it is stored
    expected = bare(t, program, *words)
    talk = Talk(t, program, config, *words)
    talk.until_it_waits()
    [pid] = t.service_pids()
    os.kill(pid, signal.SIGSTOP)
    talk.go_on()
    talk.until_it_waits()
    os.kill(pid, signal.SIGKILL)
    t.wait(lambda: not t.service_pids(), "the service to die", 20)
    talk.go_on()
    talk.until_it_waits()
    equal(t.bodies(), 21)
    talk.go_on()
    equal(talk.end(), expected)
    equal(t.run([program, *[w for w in words if w != "?"]], config=config).text, expected)
    equal(t.bodies(), 10)
