"""What `cachectl service stop` promises: when it returns, the service has ended, with all that this means. So nothing here waits for anything after it."""
import fcntl
import json
import os
import pathlib
import signal
import subprocess

from harness import ROOT, contains, equal

PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
__attribute__((noinline, noclone)) int f(int x)
{
    FILE *log = fopen(getenv("BODY_LOG"), "a");
    fputs("f\n", log);
    fclose(log);
    return x * 3;
}
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        printf("%d\n", f(atoi(argv[i])));
    return 0;
}
"""
TASK = "tasks:\n  - symbol: f\n    prototype: 'int f(int x)'\n    cache_policy: INPUTS\n"
# Each put takes as long as its option says.
SLOW = r"""
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <taskcache/plugin.h>
static int get(void *data, const char *key, struct taskcache_cursor *to, struct taskcache_error *error)
{
    (void)data, (void)key, (void)to, (void)error;
    return -ENOENT;
}
static int put(void *data, const char *key, const void *bytes, uint64_t count, struct taskcache_error *error)
{
    (void)data, (void)key, (void)bytes, (void)count, (void)error;
    usleep(%d * 1000);
    return 0;
}
static int init(const struct taskcache_host *host, struct taskcache_error *error)
{
    static struct taskcache_storage s = {.struct_size = sizeof s, .name = "place", .get = get, .put = put};
    (void)error;
    return host->add_storage(host, &s);
}
TASKCACHE_PLUGIN_OF_CODE("slow", "1.0", "MIT", "Slow", 0, init);
"""


def ended(t, cache):
    """Everything that a service has is gone."""
    equal(t.service_pids(), [])
    equal([p.name for p in (t.dir / "run" / "taskcache").glob("*.sock")], [])
    is_free(cache)


def is_free(cache):
    with open(pathlib.Path(cache) / "lock", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def far_config(t, put_ms):
    t.cc(t.write("slow.c", SLOW % put_ms), "slow.so", flags=("-shared", "-fPIC", f"-I{ROOT}/plugin-api/include"))
    return t.config("cache: { path: own }\nplugins: [ ./slow.so ]\nstorages: { fleet: { type: slow.place, timeout: 1s } }\n" + TASK + "    result_storage: fleet\n")


def start(t, config, *numbers):
    program = t.cc(PROGRAM, "program")
    t.run([program, *(numbers or [1])], config)
    equal(t.service_pids() != [], True)  # its children count, too
    return program


def test_it_has_ended(t):
    config = t.config("cache: { path: own }\n" + TASK)
    for _ in range(5):
        start(t, config)
        equal(t.ctl("service", "stop", "-c", config).text, "stopped\n")
        ended(t, t.dir / "own")
        equal(t.ctl("service", "stop", "-c", config).text, "not running\n")


def test_what_programs_read_of_it(t):
    config = t.config("cache: { path: own }\n" + TASK)
    start(t, config)
    for stopped in (True, False):
        equal(json.loads(t.ctl("service", "stop", "-c", config, "--json").out), {"stopped": stopped, "cache": str(t.dir / "own")})


def test_all_is_handed_on_and_logged(t):
    config = far_config(t, 100)
    start(t, config, *range(8))
    equal(t.ctl("service", "stop", "-c", config).text, "stopped\n")
    ended(t, t.dir / "own")
    contains((t.dir / "own" / "log").read_text(), "storage fleet: 0 found, 8 not there, 8 handed on, 0 lost, 0 errors")


def test_observers_have_been_told(t):
    seen = t.dir / "seen"
    config = t.config(f"cache: {{ path: own }}\nplugins: [ {{ path: {t.build}/plugin-api/examples/observer/observer.so, options: {{ file: '{seen}' }} }} ]\n" + TASK)
    start(t, config)
    t.ctl("service", "stop", "-c", config)
    ended(t, t.dir / "own")
    contains(seen.read_text(), "f@program stored 1 ")


def test_one_that_ends_already_is_waited_for(t):
    config = far_config(t, 700)
    start(t, config, 1, 2)
    t.kill_services(signal.SIGTERM)
    t.wait(lambda: not list((t.dir / "run" / "taskcache").glob("*.sock")), "the socket to go", 30)
    equal(t.ctl("service", "stop", "-c", config, env={"TASKCACHE_DIR": str(t.dir / "own")}).text in ("stopped\n", "not running\n"), True)
    is_free(t.dir / "own")
    contains((t.dir / "own" / "log").read_text(), "storage fleet: ")


def test_one_that_starts_is_waited_for(t):
    """It has the lock, and doesn't listen yet."""
    own = t.dir / "own"
    own.mkdir(mode=0o700)
    with open(own / "lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        p = subprocess.Popen([t.cachectl, "service", "stop"], env={**t.env, "TASKCACHE_DIR": str(own)}, stdout=subprocess.PIPE, text=True)
        try:
            p.wait(0.5)
            raise AssertionError("it didn't wait")
        except subprocess.TimeoutExpired:
            pass
    equal((p.communicate(timeout=60)[0], p.returncode), ("stopped\n", 0))


def test_one_that_hangs_is_told(t):
    config = t.config("cache: { path: own }\n" + TASK)
    start(t, config)
    pid, = t.service_pids()
    t.kill_services(signal.SIGSTOP)
    r = t.ctl("service", "stop", "-c", config, env={"TASKCACHE_DIR": str(t.dir / "own")}, status=2)
    contains(r.errors, "service-stays")
    equal(t.service_pids(), [pid])
    os.kill(pid, signal.SIGCONT)
    t.ctl("service", "stop", "-c", config)
    ended(t, t.dir / "own")


def test_of_a_storage(t):
    config = t.config("cache: { path: own }\nstorages: { fast: { type: lmdb, path: fast } }\n" + TASK + "    result_storage: fast\n")
    program = t.cc(PROGRAM, "program")
    t.run([program, 1], config)
    both = set(t.service_pids())
    equal(len(both), 2)
    equal(t.ctl("service", "stop", "-c", config, "--storage", "fast").text, "stopped\n")
    is_free(t.dir / "fast")
    left = t.service_pids()
    equal((len(left), left[0] in both), (1, True))
    contains(t.ctl("service", "status", "-c", config).text, f"running, pid {left[0]}, ")
    equal(t.ctl("service", "stop", "-c", config, "--storage", "fast").text, "not running\n")
    t.ctl("service", "stop", "-c", config)
    ended(t, t.dir / "own")


def test_a_run_with_its_own_services_leaves_none(t):
    config = t.config("cache: { path: own }\nstorages: { fast: { type: lmdb, path: fast } }\n" + TASK +
                      "    result_storage: fast\n  - symbol: g\n    prototype: 'int g(int x)'\n    cache_policy: INPUTS\n")
    program = t.cc(PROGRAM, "program")
    for bodies in (1, 0):
        equal(t.run([program, 5], config, options=("--foreground-service",)).text, "15\n")
        ended(t, t.dir / "own")
        is_free(t.dir / "fast")
        equal(t.bodies(), bodies)


def test_a_run_leaves_others_services_alone(t):
    config = t.config("cache: { path: own }\n" + TASK)
    program = start(t, config)
    before = t.service_pids()
    t.run([program, 5], config, options=("--foreground-service",))
    equal(t.service_pids(), before)
