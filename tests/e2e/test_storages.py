"""Storages of type lmdb: cache directories beside the cache, each with a service of its own."""
import json
import os
import signal

from harness import Failure, contains, equal, lacks

PROGRAM = r"""
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
static void ran(void)
{
    int fd = open(getenv("BODY_LOG"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || write(fd, "f\n", 2) < 0)
        _exit(99);
    close(fd);
}
__attribute__((noinline, noclone)) int f(int x)
{
    ran();
    return x * 10;
}
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        printf("%d\n", f(atoi(argv[i])));
    return 0;
}
"""
CONFIG = """
storages: { fast: { type: lmdb, path: fast } }
tasks:
  - symbol: f
    prototype: |
      int f(int x)
    cache_policy: INPUTS
    result_storage: fast
"""


LARGE = r"""
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static unsigned char out[2000000];
__attribute__((noinline, noclone)) void fill(int x, unsigned char *to, size_t n)
{
    int fd = open(getenv("BODY_LOG"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || write(fd, "f\n", 2) < 0)
        _exit(99);
    close(fd);
    for (size_t i = 0; i < n; i++)
        to[i] = (unsigned char)(i * 7 + (size_t)x);
}
int main(void)
{
    fill(3, out, sizeof out);
    return fwrite(out, 1, sizeof out, stdout) != sizeof out;
}
"""
APART = """
storages: { heads: { type: lmdb, path: heads }, fast: { type: lmdb, path: fast } }
policies: { apart: { policy: INPUTS, key_storage: heads } }
tasks:
  - symbol: fill
    prototype: |
      void fill(int x, out unsigned char to[n], size_t n)
    cache_policy: apart
    result_storage: fast
"""


def pid_of(t, directory):
    for pid in t.service_pids():
        words = open(f"/proc/{pid}/cmdline").read().split("\0")
        if directory in words:
            return pid
    return None


def test_the_tools_look_into_a_storage(t):
    program, config = t.cc(PROGRAM), t.config(CONFIG)
    t.run([program, 1, 2, 3], config=config)
    equal(t.bodies(), 3)
    equal(t.records(config), [])
    there = ["-c", config, "--storage", "fast"]
    records = json.loads(t.ctl("ls", *there, "--json").out)
    equal(len(records), 3)
    contains(t.ctl("show", *there, records[0]["key"]).text, "f@")
    equal(json.loads(t.ctl("stats", *there, "--json").out)["records"], 3)
    stats = t.stats(config)
    equal((stats["misses"], stats["records"]), (3, 0), "calls are counted in the cache")
    contains(t.ctl("verify", *there).text, "3 records")
    contains(t.ctl("gc", *there).text, "removed 0")
    contains(t.ctl("rm", *there, records[0]["key"]).text, "removed 1")
    contains(t.ctl("ls", "-c", config, "--storage", "slow", status=2).errors, "bad-value")
    t.run([program, 1, 2, 3], config=config)
    equal(t.bodies(), 1)


def test_a_directory_that_others_could_write_isnt_used(t):
    program, config = t.cc(PROGRAM), t.config(CONFIG)
    (t.dir / "fast").mkdir()
    (t.dir / "fast").chmod(0o777)
    for _ in range(2):
        r = t.run([program, 1], config=config)
        equal((r.text, t.bodies()), ("10\n", 1))
        contains(r.errors, "untrusted")
    (t.dir / "fast").chmod(0o700)
    r = t.run([program, 1], config=config)
    equal((r.text, t.bodies(), r.errors), ("10\n", 1, ""))
    equal(t.run([program, 1], config=config).text, "10\n")
    equal(t.bodies(), 0)


def test_the_storages_service_is_killed(t):
    """Hits go on from the mapped store; the next run starts a service."""
    program, config = t.cc(PROGRAM), t.config(CONFIG)
    t.run([program, 1], config=config)
    equal(t.bodies(), 1)
    directory = str(t.dir / "fast")
    os.kill(pid_of(t, directory), signal.SIGKILL)
    t.wait(lambda: pid_of(t, directory) is None, "the storage's service to die")
    env = {"TASKCACHE_AUTOSTART": "0"}
    r = t.preload([program, 1, 2], config, env=env)
    equal((r.text, t.bodies()), ("10\n20\n", 1))
    t.run([program, 1, 2], config=config)
    equal(t.bodies(), 1)
    t.run([program, 1, 2], config=config)
    equal(t.bodies(), 0)


def test_a_config_whose_tasks_use_no_storage_starts_none(t):
    program = t.cc(PROGRAM)
    config = t.config(CONFIG.replace("    result_storage: fast\n", ""))
    t.run([program, 1], config=config)
    equal((t.dir / "fast").exists(), False)
    lacks(" ".join(open(f"/proc/{p}/cmdline").read() for p in t.service_pids()), "fast")


def test_a_storage_has_a_limit_of_its_own(t):
    """Its own, not the cache's; what the latest run says holds, for a service that runs already as for one that is started by hand."""
    program = t.cc(LARGE.replace("int main(void)\n{\n    fill(3, out, sizeof out);", "int main(int argc, char **argv)\n{\n    for (int i = 0; i < atoi(argv[argc - 1]); i++)\n        fill(i, out, 100000);"), "large")
    text = APART.replace("    cache_policy: apart", "    cache_policy: INPUTS").replace("path: fast }", "path: fast, max_size: LIMIT }")

    def there(c):
        return json.loads(t.ctl("stats", "-c", c, "--storage", "fast", "--json").out)
    equal(there(t.config(text.replace("LIMIT", "3MiB")))["max_size_bytes"], 3 << 20, "before anything is there")
    for limit in (1 << 20, 2 << 20):
        c = t.config(text.replace("LIMIT", str(limit)))
        t.run([program, 40], config=c)
        equal(there(c)["max_size_bytes"], limit)
        t.wait(lambda: there(c)["size_bytes"] <= limit, "eviction", 20)
        if not there(c)["size_bytes"] > limit // 2:
            raise Failure(f"{there(c)['size_bytes']} of {limit} bytes")
    t.kill_services()
    t.preload([program, 1], c)
    equal(there(c)["max_size_bytes"], 2 << 20, "a service that the program starts")
    contains(t.ctl("doctor", "-c", c, program).text, f"fast: {t.dir}/fast, at most 2 MiB\n")
    found = json.loads(t.ctl("doctor", "-c", c, program, "--json").out)
    equal([s["max_size_bytes"] for s in found["storages"]], [None, 2 << 20])
    c = t.config("cache: { path: fast, max_size: 5MiB }\n" + text.replace("LIMIT", "3MiB"))
    t.kill_services()
    t.run([program, 1], config=c)
    equal(there(c)["max_size_bytes"], 5 << 20, "the cache itself, whose config says so")


def test_a_private_tasks_program_is_in_no_record(t):
    program = t.cc(PROGRAM.replace("int main(int argc, char **argv)\n{", """__attribute__((noinline, noclone)) int flow(int x)
{
    return f(x) + f(x + 1);
}
int main(int argc, char **argv)
{
    flow(100);"""), "secretive", flags=("-O1",))
    config = t.config(CONFIG.replace("    result_storage: fast\n", "    private: true\n") + """
flows:
  - symbol: flow
    prototype: |
      int flow(int x)
    transaction: true
""")
    t.run([program, 7], config=config)
    equal(t.bodies(), 3)
    equal([r["program"] for r in t.records(config)], [None] * 3)
    t.run([program, 7], config=config)
    equal(t.bodies(), 0)


def test_headers_of_large_results(t):
    """The header is small, and is looked for first; without its storage's service nothing new is found."""
    program, config = t.cc(LARGE, "large"), t.config(APART)
    expected = t.bare([program]).out
    t.bodies()
    for bodies in (1, 0):
        equal(t.run([program], config=config).out, expected)
        equal(t.bodies(), bodies)
    heads = json.loads(t.ctl("ls", "-c", config, "--storage", "heads", "--json").out)
    equal(len(heads), 1)
    if heads[0]["bytes"] > 1000:
        raise Failure(f"a header of {heads[0]['bytes']} bytes")
    shown = json.loads(t.ctl("show", "-c", config, "--storage", "heads", heads[0]["key"], "--json").out)
    equal((shown["header"], shown["outputs"]), (True, []))
    contains(t.ctl("verify", "-c", config, "--storage", "heads").text, "0 bad")
    contains(t.ctl("verify", "-c", config, "--storage", "fast").text, "0 bad")
    t.ctl("rm", "-c", config, "--storage", "heads", "--all")
    os.kill(pid_of(t, str(t.dir / "heads")), signal.SIGKILL)
    t.wait(lambda: pid_of(t, str(t.dir / "heads")) is None, "the service to die")
    for _ in range(2):
        r = t.preload([program], config, env={"TASKCACHE_AUTOSTART": "0"})
        equal((r.out, t.bodies()), (expected, 1))
    for bodies in (1, 0):
        equal(t.run([program], config=config).out, expected)
        equal(t.bodies(), bodies)


def test_headers_and_results_in_one_directory(t):
    """Under two names, or as the cache's own directory: the results are kept as if no headers were asked for."""
    program = t.cc(LARGE, "large")
    expected = t.bare([program]).out
    t.bodies()
    cache = str(t.dir / "cache" / "taskcache")
    for text in (APART.replace("path: heads", "path: fast"), APART.replace("path: heads", f"path: {cache}").replace("    result_storage: fast\n", ""),
                 APART.replace("path: heads", f"path: {cache}").replace("path: fast", f"path: {cache}")):
        config = t.config(text)
        for bodies in (1, 0):
            equal(t.run([program], config=config).out, expected)
            equal(t.bodies(), bodies, text)
        t.ctl("rm", "-c", config, "--all")


def test_doctor_says_what_is_kept_where(t):
    program = t.cc(PROGRAM)
    config = t.config(CONFIG.replace("fast: {", "unused: { type: lmdb, path: unused }, fast: {") + """
flows:
  - symbol: main
    prototype: |
      int main(int argc, ignore char **argv)
    transaction: true
    commit_mode: 'off'
""")
    said = t.ctl("doctor", "-c", config, program).text
    contains(said, f"storage    fast: {t.dir}/fast\n")
    contains(said, f"storage    unused: {t.dir}/unused, not used\n")
    contains(said, "kept       in fast\n")
    contains(said, "and a transaction: off")
    found = json.loads(t.ctl("doctor", "-c", config, program, "--json").out)
    equal([(s["name"], s["used"], s["reason"]) for s in found["storages"]], [("unused", False, None), ("fast", True, None)])
    equal([task["storage"] for task in found["tasks"]], ["fast", None])
    t.kill_services()
    (t.dir / "fast").chmod(0o777)
    r = t.ctl("doctor", "-c", config, program, status=1)
    contains(r.text, "can't be used: untrusted")
    contains(r.text, "fast can't be used: calls run uncached, no-storage")
