"""Lock managers of plugins: two caches with services of their own, one body; whatever the plugin does, the program goes on."""
import signal
import subprocess
import time

from harness import ROOT, contains, equal

PROGRAM = r"""
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
__attribute__((noinline, noclone)) int slow(int x)
{
    int fd = open(getenv("BODY_LOG"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || write(fd, "f\n", 2) < 0)
        _exit(99);
    close(fd);
    usleep((useconds_t)atoi(getenv("SLOW_MS")) * 1000);
    return x * 3 + 1;
}
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        printf("%d\n", slow(atoi(argv[i])));
    return 0;
}
"""
CONFIG = """
cache: {{ path: {cache} }}
plugins: [ {plugins} ]
{storages}
policies: {{ once: {{ policy: INPUTS, isolation_level: SERIALIZABLE, lock_manager: {manager} }} }}
tasks:
  - symbol: slow
    prototype: "int slow(int x)"
    cache_policy: once
    lock_timeout: 40s
{task}"""
BAD = r"""
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <taskcache/plugin.h>
static const struct taskcache_host *host;
static int start(void *data, struct taskcache_error *error)
{
    (void)data, (void)error;
    %s
}
static int acquire(void *data, const char *key, const char *owner, uint64_t ttl_ns, struct taskcache_error *error)
{
    (void)data, (void)key, (void)owner, (void)ttl_ns, (void)error;
    %s
}
static int release(void *data, const char *key, const char *owner, struct taskcache_error *error)
{
    (void)data, (void)key, (void)owner, (void)error;
    return 0;
}
static int init(const struct taskcache_host *h, struct taskcache_error *error)
{
    static struct taskcache_lock_manager m = {.struct_size = sizeof m, .name = "locks", .open = start, .acquire = acquire, .renew = acquire, .release = release};
    (void)error;
    host = h;
    return h->add_lock_manager(h, &m);
}
TASKCACHE_PLUGIN_OF_CODE("bad", "1.0", "MIT", "Bad", 0, init);
"""


def files(t, cache, manager="files.locks"):
    return t.config(CONFIG.format(
        cache=cache, plugins=f"{{ path: {t.build}/plugin-api/examples/files/files.so, options: {{ locks: {t.dir}/locks }} }}", manager=manager,
        storages=f"storages: {{ fleet: {{ type: files.directory, timeout: 1s, options: {{ path: {t.dir}/far }} }} }}",
        task="    result_storage: fleet\n"), cache + ".yaml")


def tiny(t, cache):
    """The same of the example that shows everything: its files hold eight bytes of seconds, and the owner's digits."""
    for name in ("far", "locks"):
        (t.dir / name).mkdir(exist_ok=True)
    return t.config(CONFIG.format(
        cache=cache, plugins=f"{{ path: {t.build}/plugin-api/examples/tiny/tiny.so, options: {{ results: {t.dir}/far, locks: {t.dir}/locks }} }}",
        manager="tiny.locks", storages="storages: { fleet: { type: tiny.shelf, timeout: 1s } }", task="    result_storage: fleet\n"), cache + ".yaml")


def start(t, program, config):
    return subprocess.Popen([t.cachectl, "run", "-c", config, "--", program, "7"], env=t.env, cwd=t.dir, stdout=subprocess.PIPE)


def ends_ns(content):
    if len(content) == 40:
        return int.from_bytes(content[:8], "little") * 1000000000
    words = content.split()
    return int(words[1]) if len(words) == 2 else 0


def held(t):
    """Lock files of a lock that isn't over."""
    there = (t.dir / "locks").glob("*") if (t.dir / "locks").exists() else []
    return sum(ends_ns(p.read_bytes()) > time.time_ns() for p in there)


def logged(t):
    return t.body_log.read_text().count("\n") if t.body_log.exists() else 0


def one_runs(t, machine):
    t.env["SLOW_MS"] = "0"
    program, one, two = t.cc(PROGRAM), machine(t, "one"), machine(t, "two")
    bare = t.bare([program, 7]).out
    t.bodies()
    t.env["SLOW_MS"] = "3000"
    first = start(t, program, one)
    t.wait(lambda: logged(t) == 1 and held(t) == 1, "the first one to be inside", 20)
    equal(t.run([program, 7], config=two, timeout=300).out, bare)
    equal(first.communicate(timeout=300)[0], bare)
    equal(t.bodies(), 1, "the second one waited and found the first one's result")
    t.wait(lambda: held(t) == 0, "the lock to be given back", 20)


def test_one_of_two_machines_runs(t):
    one_runs(t, files)


def test_one_of_two_machines_runs_by_tinys_locks(t):
    one_runs(t, tiny)


def test_a_killed_holder_lets_go(t):
    t.env["SLOW_MS"] = "0"
    program, one, two = t.cc(PROGRAM), files(t, "one"), files(t, "two")
    bare = t.bare([program, 7]).out
    t.bodies()
    t.env["SLOW_MS"] = "100000"
    first = start(t, program, one)
    t.wait(lambda: logged(t) == 1 and held(t) == 1, "the first one to be inside", 20)
    first.send_signal(signal.SIGKILL)
    first.wait()
    t.env["SLOW_MS"] = "0"
    equal(t.run([program, 7], config=two, timeout=300).out, bare)
    equal(t.bodies(), 2)
    equal(t.run([program, 7], config=two).out, bare)
    equal(t.bodies(), 0)


def test_a_lock_is_renewed(t):
    """A body that takes longer than a lock's time keeps it."""
    t.env["SLOW_MS"] = "13000"
    program, one, two = t.cc(PROGRAM), files(t, "one"), files(t, "two")
    first = start(t, program, one)
    t.wait(lambda: logged(t) == 1 and held(t) == 1, "the first one to be inside", 20)
    equal(t.run([program, 7], config=two, timeout=300).out, b"22\n")
    equal(first.communicate(timeout=300)[0], b"22\n")
    equal(t.bodies(), 1)


def lapses(t, machine):
    """Nobody renews it: after its 10 s another machine gets it; the first one's program goes on."""
    t.env["SLOW_MS"] = "0"
    program, one, two = t.cc(PROGRAM), machine(t, "one"), machine(t, "two")
    bare = t.bare([program, 7]).out
    t.bodies()
    t.env["SLOW_MS"] = "30000"
    first = start(t, program, one)
    t.wait(lambda: logged(t) == 1 and held(t) == 1, "the first one to be inside", 20)
    t.kill_services()
    begun = time.monotonic()
    t.env["SLOW_MS"] = "0"
    equal(t.run([program, 7], config=two, timeout=60).out, bare)
    equal(t.bodies(), 2, "the second one got the lock, and ran")
    took = time.monotonic() - begun
    if first.poll() is not None or took < 5:
        raise AssertionError(f"it didn't wait for the lock's time: {took} s")
    equal(first.communicate(timeout=60)[0], bare)


def test_a_killed_services_lock_lapses(t):
    lapses(t, files)


def test_tinys_locks_lapse(t):
    lapses(t, tiny)


def misbehave(t, acquire, start="return 0;", said=""):
    t.env["SLOW_MS"] = "0"
    program = t.cc(PROGRAM)
    t.cc(t.write("bad.c", BAD % (start, acquire)), "bad.so", flags=("-shared", "-fPIC", f"-I{ROOT}/plugin-api/include"))
    config = t.config(CONFIG.format(cache="a", plugins="./bad.so", manager="bad.locks", storages="", task=""))
    bare = t.bare([program, 1]).out
    t.bodies()
    for _ in range(2):
        equal(t.run([program, 1], config=config, timeout=300).out, bare)
        equal(t.bodies(), 1, "without the lock it runs and isn't stored")
    contains(t.ctl("log", "-c", config).text, "lock manager bad.locks: " + said if said else "bad.locks")
    contains(t.ctl("stats", "-c", config).text, "no-lock")


def test_a_crash(t):
    misbehave(t, "abort();", said="its code crashed")


def test_a_hang(t):
    t.env["TASKCACHE_TEST_DEADLINE_MS"] = "2000"
    misbehave(t, "for (;;) pause();", said="its code crashed, or took longer than 5 s")


def test_an_error(t):
    misbehave(t, 'host->cause(error, "the network is down"); return -EIO;', said="can't lock")


def test_an_open_that_hangs(t):
    t.env["TASKCACHE_TEST_DEADLINE_MS"] = "2000"
    misbehave(t, "return 0;", "for (;;) pause();", said="its code crashed, or took longer than 5 s")


def test_an_open_that_fails(t):
    misbehave(t, "return 0;", 'host->cause(error, "no such place"); return -EIO;')


def test_what_the_config_cant_say(t):
    t.env["SLOW_MS"] = "0"
    program = t.cc(PROGRAM)
    for manager, said in (("files.nothing", "registers no lock manager 'nothing'"), ("other.locks", "no plugin 'other' is listed"),
                          ("redis", "there is no lock manager 'redis'")):
        contains(t.run([program, 1], config=files(t, "a", manager), status=125).errors, said)
    equal(t.bodies(), 0)
