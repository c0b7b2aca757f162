"""plugins/netdb: an unmodified program asks a DNS server on loopback, in a network namespace of its own; the server tells each query."""
import os
import pathlib
import subprocess

from harness import Later, equal

SCRIPTS = pathlib.Path(__file__).resolve().parent / "scripts"
SECOND = 1_000_000_000
LOOK_UP = "import socket; print(socket.getaddrinfo('answer.test', 80, type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME))"
NAME = "import socket; print(socket.getnameinfo(('192.0.2.1', 80), 0))"
MISSING = """
import socket
try:
    socket.getaddrinfo("missing.test", 80)
except OSError as e:
    print(e)
"""


class Network:
    def __init__(self, t):
        self.t = t
        self.now = 1_700_000_000
        t.env["TASKCACHE_CLOCK_FILE"] = str(t.dir / "clock")
        self.later(0)
        server = ["unshare", "--mount", "--net", "/usr/bin/python3", str(SCRIPTS / "resolver.py"), str(t.dir), str(t.body_log)]
        if os.geteuid() != 0:
            raise Later("needs root")
        self.server = subprocess.Popen(server, stdout=subprocess.PIPE)
        if self.server.stdout.readline() != b"ready\n":
            self.close()
            raise Later("needs namespaces")

    def close(self):
        self.server.kill()
        self.server.wait()
        self.server.stdout.close()

    def later(self, seconds):
        self.now += seconds
        clock = self.t.dir / "clock.new"
        clock.write_text(str(self.now * SECOND))
        clock.rename(self.t.dir / "clock")

    def inside(self, *argv):
        return ["nsenter", "--target", str(self.server.pid), "--mount", "--net", *argv]

    def ask(self, program):
        """What the program says, cached, and whether the server was asked."""
        r = self.t.execute(self.inside(self.t.cachectl, "run", "--plugin", "netdb", "--", "/usr/bin/python3", "-c", program))
        return r.text, self.t.bodies() > 0


def with_network(f):
    def run(t):
        network = Network(t)
        try:
            f(t, network)
        finally:
            network.close()
    run.__name__ = f.__name__
    return run


@with_network
def test_an_address_is_asked_for_once_a_minute(t, network):
    text, asked = network.ask(LOOK_UP)
    equal(asked, True)
    equal("192.0.2." in text and "'answer.test'" in text, True, text)
    for seconds in (0, 59):
        network.later(seconds)
        equal(network.ask(LOOK_UP), (text, False), f"after {seconds} s")
    network.later(1)
    again, asked = network.ask(LOOK_UP)
    equal((again != text, asked), (True, True), "after a minute")
    equal(network.ask(LOOK_UP), (again, False))


@with_network
def test_a_name_is_asked_for_once(t, network):
    text, asked = network.ask(NAME)
    equal(("name." in text, asked), (True, True), text)
    equal(network.ask(NAME), (text, False))
    other, asked = network.ask(NAME.replace("80), 0", "80), socket.NI_NUMERICSERV"))
    equal((other != text, asked), (True, True), "other flags, another answer")


@with_network
def test_what_is_missing_is_asked_for_each_time(t, network):
    for _ in range(2):
        text, asked = network.ask(MISSING)
        equal(("not known" in text, asked), (True, True), text)


@with_network
def test_a_changed_configuration_asks_anew(t, network):
    text, asked = network.ask(LOOK_UP)
    equal(network.ask(LOOK_UP), (text, False))
    t.execute(network.inside("sh", "-c", "echo '192.0.2.251 answer.test' >>/etc/hosts"))
    changed, asked = network.ask(LOOK_UP)
    equal(("192.0.2.251" in changed, asked), (True, False), "the hosts file answers now")


PROGRAM = r"""
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int main(void)
{
    struct addrinfo hints = {.ai_flags = AI_CANONNAME}, *list = NULL;

    for (int i = 0; i < 50; i++) {
        if (getaddrinfo("answer.test", i % 2 ? "http" : NULL, &hints, &list) != 0)
            return 1;
        for (struct addrinfo *a = list; a != NULL; a = a->ai_next)
            printf("%d %d %d %d %u %s\n", a->ai_flags, a->ai_family, a->ai_socktype, a->ai_protocol, a->ai_addr->sa_family,
                   a->ai_canonname != NULL ? a->ai_canonname : "");
        freeaddrinfo(list);
    }
    return 0;
}
"""


@with_network
def test_lists_are_freed_by_the_program(t, network):
    """valgrind sees each block that is freed twice, used afterwards, or kept."""
    program = t.cc(PROGRAM, "ask")
    bare = t.execute(network.inside(program))
    t.bodies()
    valgrind = ["valgrind", "--quiet", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite,indirect"]
    run = network.inside(t.cachectl, "run", "--plugin", "netdb", "--stats", "--")
    for _ in range(2):
        equal(t.execute([*run, program]).out, bare.out)
    t.bodies()
    equal(t.execute([*run, *valgrind, program]).out, bare.out)
    equal(t.bodies(), 0, "queries")
