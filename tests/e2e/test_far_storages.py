"""Storages of plugins behind the cache: what one cache computed another one replays; whatever the plugin does, the program goes on."""
import json
import os
import struct
import subprocess

from harness import ROOT, contains, equal, lacks

PROGRAM = r"""
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
static unsigned char out[4000000];
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
        to[i] = (unsigned char)(i * 7 + (size_t)x + i / 251);
}
int main(int argc, char **argv)
{
    size_t n = strtoul(argv[1], NULL, 10);
    for (int i = 2; i < argc; i++) {
        fill(atoi(argv[i]), out, n);
        if (fwrite(out, 1, n, stdout) != n)
            return 1;
    }
    return 0;
}
"""
CONFIG = """
cache: {{ path: {cache} }}
plugins: [ {plugin} ]
storages: {{ fleet: {{ type: {type}, timeout: 1s{more} }} }}
tasks:
  - symbol: fill
    prototype: |
      void fill(int x, out unsigned char to[n], size_t n)
    cache_policy: INPUTS
    result_storage: fleet
{task}"""
BAD = r"""
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <taskcache/plugin.h>
static const struct taskcache_host *host;
static int get(void *data, const char *key, struct taskcache_cursor *to, struct taskcache_error *error)
{
    (void)data, (void)key, (void)to, (void)error;
    %s
}
static int put(void *data, const char *key, const void *bytes, uint64_t count, struct taskcache_error *error)
{
    (void)data, (void)key, (void)bytes, (void)count, (void)error;
    %s
}
static int init(const struct taskcache_host *h, struct taskcache_error *error)
{
    static struct taskcache_storage s = {.struct_size = sizeof s, .name = "place", .get = get, .put = put};
    (void)error;
    host = h;
    return h->add_storage(h, &s);
}
TASKCACHE_PLUGIN_OF_CODE("bad", "1.0", "MIT", "Bad", 0, init);
"""


def files_config(t, cache, task="", more=""):
    return t.config(CONFIG.format(cache=cache, plugin=f"{t.build}/plugin-api/examples/files/files.so", type="files.directory",
                                  more=f", options: {{ path: {t.dir}/far }}{more}", task=task), cache + ".yaml")


def bad_config(t, get, put="return 0;"):
    t.cc(t.write("bad.c", BAD % (get, put)), "bad.so", flags=("-shared", "-fPIC", f"-I{ROOT}/plugin-api/include"))
    return t.config(CONFIG.format(cache="a", plugin="./bad.so", type="bad.place", more="", task=""))


def far(t):
    return sorted(p for p in (t.dir / "far").glob("*") if len(p.name) == 32) if (t.dir / "far").exists() else []


def log(t, config):
    return t.ctl("log", "-c", config).text


def stop(t, config):
    t.ctl("service", "stop", "-c", config)


def test_two_caches_share_a_storage(t):
    program, one, two = t.cc(PROGRAM), files_config(t, "one"), files_config(t, "two")
    for n in (100, 300000, 3999999):
        bare = t.bare([program, n, 1, 2]).out
        t.bodies()
        before = len(far(t))
        equal(t.run([program, n, 1, 2], config=one).out, bare)
        equal(t.bodies(), 2)
        t.wait(lambda: len(far(t)) == before + 2, "two files more", 20)
        for _ in range(2):
            equal(t.run([program, n, 1, 2], config=two).out, bare)
            equal(t.bodies(), 0, f"{n} bytes come from the other cache")
    for p in far(t):
        p.unlink()
    bare = t.bare([program, 100, 1, 2]).out
    t.bodies()
    equal(t.run([program, 100, 1, 2], config=two).out, bare)
    equal(t.bodies(), 0, "they lie in this cache now")
    equal(len(t.records(two)), 6)
    equal(len(json.loads(t.ctl("ls", "-c", two, "--storage", "fleet", "--json").out)), 0)
    stop(t, one)
    contains((t.dir / "one" / "log").read_text(), "storage fleet: 0 found, 6 not there, 6 handed on, 0 lost, 0 errors")


SCOPES = r"""
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static int ran(const char *line, int result)
{
    int fd = open(getenv("BODY_LOG"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || write(fd, line, 2) < 0)
        _exit(99);
    close(fd);
    return result;
}
__attribute__((noinline, noclone)) int with_arguments(int x) { return ran("a\n", x * 10); }
__attribute__((noinline, noclone)) int with_run(int x) { return ran("r\n", x * 10 + 1); }
__attribute__((noinline, noclone)) int twice(int x) { return 2 * x; }
__attribute__((noinline, noclone)) int thrice(int x) { return 3 * x; }
__attribute__((noinline, noclone)) int apply(int (*f)(int), int x) { return ran("f\n", f(x)); }
__attribute__((noinline, noclone)) int flow(const char *text, int x)
{
    return with_arguments(x) + 100 * (int)strlen(text);
}
int main(int argc, char **argv)
{
    static char text[10000];
    memset(text, 'x', sizeof text - 1);
    printf("%d %d\n", with_arguments(1), with_run(2));
    printf("%d %d\n", apply(twice, 3), apply(thrice, 3));
    printf("%d\n", flow("short", 4));
    text[sizeof text - 2] = argv[1][0];
    printf("%d\n", flow(text, 5));
    return argc != 2;
}
"""


def scopes_config(t, cache, storage):
    plugin = f"{t.build}/plugin-api/examples/files/files.so"
    return t.config(f"""
cache: {{ path: {cache} }}
plugins: [ {plugin} ]
storages:
  there: {storage}
  other: {{ type: lmdb, path: other }}
defaults: {{ result_storage: there }}
flows:
  - symbol: flow
    prototype: |
      int flow(const char *text, int x)
tasks:
  - symbol: with_arguments
    prototype: |
      int with_arguments(int x)
    cache_policy: FLOW_PARAMETERS + INPUTS
  - symbol: with_run
    prototype: |
      int with_run(int x)
    cache_policy: RUN_ID + INPUTS
  - symbol: apply
    prototype: |
      int apply(int (*f)(int), int x)
    cache_policy: INPUTS
""", cache + ".yaml")


def lines(t):
    text = t.body_log.read_text() if t.body_log.exists() else ""
    t.bodies()
    return "".join(sorted(text.split()))


def share_scopes(t, storage, count):
    """FLOW_PARAMETERS, RUN_ID and function pointers are the same parts of a key for all who share a storage."""
    program = t.cc(SCOPES, "scopes")
    one, two = scopes_config(t, "one", storage), scopes_config(t, "two", storage)
    for argument, run, bodies in (("a", "monday", "aaaffr"), ("b", "tuesday", "aar")):
        env = {"TASKCACHE_RUN_ID": run}
        bare = t.bare([program, argument]).out
        t.bodies()
        equal(t.run([program, argument], config=one, env=env).out, bare)
        equal(lines(t), bodies)
        if count:
            count -= len(bodies)
            t.wait(lambda: len(far(t)) == 9 - count, "results to be handed on", 20)
        equal(t.run([program, argument], config=two, env=env).out, bare)
        equal(lines(t), "")


def test_runs_and_flows_are_shared(t):
    share_scopes(t, f"{{ type: files.directory, timeout: 1s, secret: s, options: {{ path: {t.dir}/far }} }}", 9)


def test_runs_and_flows_are_shared_through_a_directory(t):
    share_scopes(t, "{ type: lmdb, path: there }", 0)


def test_what_is_handed_on_survives_the_services_end(t):
    program, one, two = t.cc(PROGRAM), files_config(t, "one"), files_config(t, "two")
    numbers = list(range(200))
    bare = t.run([program, 1000, *numbers], config=one).out
    stop(t, one)
    t.wait(lambda: not t.service_pids(), "the service to leave", 20)
    equal(len(far(t)), 200)
    t.bodies()
    equal(t.run([program, 1000, *numbers], config=two).out, bare)
    equal(t.bodies(), 0)


def spoil(t, how):
    """What lies in the far storage is another thing: the call is a miss, the log says why, and what it stores heals the place."""
    program, one, two = t.cc(PROGRAM), files_config(t, "one"), files_config(t, "two")
    bare = t.run([program, 5000, 1, 2], config=one).out
    t.wait(lambda: len(far(t)) == 2, "two files", 20)
    t.bodies()
    good = {p: p.read_bytes() for p in far(t)}
    said = how(*far(t))
    equal(t.run([program, 5000, 1, 2], config=two).out, bare)
    equal(t.bodies(), 2)
    text = log(t, two)
    if said:
        contains(text, "far-storage")
        contains(text, said)
    else:
        lacks(text, "far-storage")
    t.wait(lambda: all(len(p.read_bytes()) == len(b) for p, b in good.items()), "good records again", 20)
    equal(t.run([program, 5000, 1, 2], config=two).out, bare)
    equal(t.bodies(), 0)


def rewrite(change):
    def every(*paths):
        for p in paths:
            p.write_bytes(change(p.read_bytes()))
    return every


def test_garbage(t):
    spoil(t, lambda *p: rewrite(lambda b: os.urandom(len(b)))(*p) or "is damaged, or no record")


def test_nothing_at_all(t):
    spoil(t, lambda *p: rewrite(lambda b: b"")(*p) or "is damaged, or no record")


def test_a_truncated_record(t):
    spoil(t, lambda *p: rewrite(lambda b: b[:-1])(*p) or "is damaged, or no record")


def test_a_byte_that_fell_over(t):
    spoil(t, lambda *p: rewrite(lambda b: b[:-9] + bytes([b[-9] ^ 1]) + b[-8:])(*p) or "is damaged, or no record")


def test_another_version(t):
    spoil(t, lambda *p: rewrite(lambda b: b[:4] + struct.pack("<H", 9) + b[6:])(*p) or "is of another version")


def test_another_keys_record(t):
    def swap(a, b):
        one, two = a.read_bytes(), b.read_bytes()
        a.write_bytes(two)
        b.write_bytes(one)
        return "is another key's record"
    spoil(t, swap)


def test_an_unreadable_one(t):
    program, one, two = t.cc(PROGRAM), files_config(t, "one"), files_config(t, "two")
    bare = t.run([program, 50, 1], config=one).out
    t.wait(lambda: len(far(t)) == 1, "a file", 20)
    t.bodies()
    path = far(t)[0]
    path.unlink()
    path.mkdir()
    equal(t.run([program, 50, 1], config=two).out, bare)
    equal(t.bodies(), 1)
    contains(log(t, two), "Is a directory")


def test_an_expired_record(t):
    program = t.cc(PROGRAM)
    one, two = (files_config(t, c, "    cache_expiration: 1h\n") for c in ("one", "two"))
    clock = t.dir / "clock"
    t.env["TASKCACHE_CLOCK_FILE"] = str(clock)
    clock.write_text("1700000000000000000")
    bare = t.run([program, 50, 1], config=one).out
    t.wait(lambda: len(far(t)) == 1, "a file", 20)
    t.bodies()
    equal(t.run([program, 50, 1], config=two).out, bare)
    equal(t.bodies(), 0)
    third = files_config(t, "three", "    cache_expiration: 1h\n")
    clock.write_text(str(1700000000000000000 + 3600 * 10**9))
    equal(t.run([program, 50, 1], config=third).out, bare)
    equal(t.bodies(), 1, "expired")


def test_removing_removes_there_too(t):
    program, one = t.cc(PROGRAM), files_config(t, "one")
    t.run([program, 50, 1, 2], config=one)
    t.wait(lambda: len(far(t)) == 2, "two files", 20)
    t.ctl("rm", "-c", one, t.records(one)[0]["key"])
    t.wait(lambda: len(far(t)) == 1, "one file", 20)
    t.bodies()
    t.run([program, 50, 1, 2], config=one)
    equal(t.bodies(), 1)


FLOW = PROGRAM.replace("int main(int argc, char **argv)", """
__attribute__((noinline, noclone)) int inner(size_t n)
{
    fill(100, out, n);
    fwrite(out, 1, n, stdout);
    return (int)n;
}
__attribute__((noinline, noclone)) int flow(int end, size_t n)
{
    for (int i = 1; i < 3; i++) {
        fill(i, out, n);
        if (fwrite(out, 1, n, stdout) != n)
            return -1;
    }
    inner(n);
    fprintf(stderr, "inside\\n");
    int c;
    while ((c = getchar()) != '\\n' && c != EOF)
        ;
    return end;
}
int main(int argc, char **argv)
{
    return argc != 3 || flow(atoi(argv[1]), strtoul(argv[2], NULL, 10)) < 0;
}
int unused(int argc, char **argv)""")
FLOWS = """
flows:
  - symbol: flow
    prototype: |
      int flow(int end, size_t n)
    transaction: true
    success: 'return >= 0'
  - symbol: inner
    prototype: |
      int inner(size_t n)
    transaction: true
"""


def in_a_flow(t, config, program, end, n):
    """What it prints; whether anything lay in the far storage before the flow ended."""
    before = len(far(t))
    with open(t.dir / "printed", "wb") as printed:
        p = subprocess.Popen([t.cachectl, "run", "-c", config, "--", program, str(end), str(n)], env=t.env, cwd=t.dir,
                             stdin=subprocess.PIPE, stdout=printed, stderr=subprocess.PIPE)
    line = p.stderr.readline()
    while line and line != b"inside\n":
        line = p.stderr.readline()
    equal(line, b"inside\n")
    equal(len(far(t)), before, "nothing is handed on before it lands")
    p.communicate(b"\n", timeout=60)
    equal(p.returncode, int(end < 0))
    return (t.dir / "printed").read_bytes()


def test_a_transaction_is_handed_on_when_it_lands(t):
    program = t.cc(FLOW)
    one, two = (t.config(open(files_config(t, c)).read() + FLOWS, c + ".yaml") for c in ("one", "two"))
    for n in (100, 300000, 3999999):
        bare = t.bare([program, 1, n], stdin=b"\n").out
        t.bodies()
        before = len(far(t))
        equal(in_a_flow(t, one, program, 1, n), bare)
        equal(t.bodies(), 3)
        t.wait(lambda: len(far(t)) == before + 3, "three files more", 20)
        equal(in_a_flow(t, two, program, 1, n), bare)
        equal(t.bodies(), 0, f"{n} bytes come from the other cache")


def test_a_transaction_that_comes_to_nothing_isnt_handed_on(t):
    program = t.cc(FLOW)
    one = t.config(open(files_config(t, "one")).read() + FLOWS, "one.yaml")
    in_a_flow(t, one, program, -1, 1000)
    equal(t.bodies(), 3)
    stop(t, one)
    t.wait(lambda: not t.service_pids(), "the service to leave", 20)
    equal(far(t), [])


def names(t, config, *words):
    return [r["key"] for r in json.loads(t.ctl("ls", "-c", config, "--storage", "fleet", "--json", *words).out)]


def test_tools_list_and_empty_it(t):
    program, one, two = t.cc(PROGRAM), files_config(t, "one"), files_config(t, "two")
    t.run([program, 50, *range(5)], config=one)
    keys = names(t, one)  # behind what is to be handed on
    equal(keys, [p.name for p in far(t)])
    equal(len(keys), 5)
    (t.dir / "far" / "not a key").write_text("x")
    (t.dir / "far" / ("x" * 32)).write_text("x")
    equal(names(t, two), keys, "a cache that has none of them lists them, too")
    equal(names(t, one, "fill"), keys)
    equal(names(t, two, "fill"), [], "which task it is only the cache knows")
    contains(t.ctl("ls", "-c", one, "--storage", "fleet").text, "fill@")
    contains(t.ctl("ls", "-c", two, "--storage", "fleet").text, "(not in this cache)")
    n = next(f for f in t.stats(one)["far"] if f["name"] == "fleet")
    equal((n["handed_on"], n["missed"], n["lost"], n["state"]), (5, 5, 0, "ready"))
    contains(t.ctl("stats", "-c", one).text, "5 handed on")
    contains(t.ctl("rm", "-c", two, "--storage", "fleet", "-n", keys[0]).text, "would remove 1")
    equal(len(names(t, two)), 5)
    equal(json.loads(t.ctl("rm", "-c", two, "--storage", "fleet", "--json", keys[0]).out)["removed"], 1)
    equal(names(t, two), keys[1:])
    equal(len(t.records(one)), 5, "the cache keeps it")
    contains(t.ctl("rm", "-c", one, "--storage", "fleet", "--expired", status=2).errors, "only keys are known")
    contains(t.ctl("gc", "-c", one, "--storage", "fleet", status=2).errors, "it lies behind the cache")
    contains(t.ctl("rm", "-c", two, "--storage", "fleet", "--all").text, "removed 4 records from fleet")
    equal(names(t, two), [])


def test_rm_all_reaches_it(t):
    program, one, two = t.cc(PROGRAM), files_config(t, "one"), files_config(t, "two")
    bare = t.run([program, 50, 1, 2, 3], config=one).out
    t.run([program, 50, 4], config=two)
    t.wait(lambda: len(far(t)) == 4, "four files", 20)
    t.bodies()
    equal(json.loads(t.ctl("rm", "-c", one, "--all", "--json").out)["far_removed"], 3)
    equal(len(far(t)), 1, "what this cache never had stays")
    equal(t.run([program, 50, 1, 2, 3], config=one).out, bare)
    equal(t.bodies(), 3)


SLOW_REMOVE = r"""
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static int slow_remove(const char *path)
{
    int fd = strstr(path, "began") ? -1 : open(PLACE "/began", O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd >= 0 && write(fd, path, strlen(path)) > 0 && rename(PLACE "/began", PLACE "/began.whole") == 0)
        for (int i = 0; i < 400 && access(PLACE "/go", F_OK) != 0; i++)
            usleep(10000);
    return remove(path);
}
#define remove(path) slow_remove(path)
"""


def test_what_is_removed_doesnt_come_back_from_there(t):
    """A look-up that comes while `rm` is at it."""
    hook, source = t.write("hook.h", SLOW_REMOVE), f"{ROOT}/plugin-api/examples/files/files.c"
    t.cc(source, "slow.so", flags=("-shared", "-fPIC", f'-DPLACE="{t.dir}"', "-include", hook, f"-I{ROOT}/plugin-api/include"))
    program = t.cc(PROGRAM)
    config = t.config(CONFIG.format(cache="a", plugin="./slow.so", type="files.directory", more=f", options: {{ path: {t.dir}/far }}", task=""))
    names = {}
    for x in (1, 2):
        t.run([program, 50, x], config=config)
        t.wait(lambda: len(far(t)) == x, "a file", 20)
        names.update({p.name: x for p in far(t) if p.name not in names})
    t.bodies()
    rm = subprocess.Popen([t.cachectl, "rm", "-c", config, "--all"], env=t.env, stdout=subprocess.DEVNULL)
    t.wait(lambda: (t.dir / "began.whole").exists(), "the first one to go", 20)
    other = 3 - next(x for name, x in names.items() if name in (t.dir / "began.whole").read_text())
    p = subprocess.Popen([t.cachectl, "run", "-c", config, "--", program, "50", str(other)], env=t.env, stdout=subprocess.DEVNULL)
    try:
        p.wait(0.5)  # in the cache; else it waits for the storage, whose turn comes now
    except subprocess.TimeoutExpired:
        pass
    t.write("go", "")
    equal((p.wait(60), rm.wait(60)), (0, 0))
    if t.bodies() == 0:
        equal((t.records(config), far(t)), ([], []))


def test_a_storage_that_cant_be_listed(t):
    program, config = t.cc(PROGRAM), bad_config(t, "return -ENOENT;")
    t.run([program, 5, 1], config=config)
    contains(t.ctl("ls", "-c", config, "--storage", "fleet", status=2).errors, "the plugin doesn't support this")
    contains(t.ctl("ls", "-c", config, "--storage", "fleet", "12" * 16, status=2).errors, "the plugin doesn't support this")
    contains(t.ctl("rm", "-c", config, "--all", status=1).errors, "the plugin doesn't support this")
    equal(len(t.records(config)), 0, "the cache's are gone all the same")


ASKED = BAD.replace("static int init(", """
static int exists(void *data, const char *key, struct taskcache_error *error)
{
    (void)data, (void)error;
    return key[0] == 'a' ? 0 : -ENOENT;
}
static int drop(void *data, const char *key, struct taskcache_error *error)
{
    return exists(data, key, error);
}
static int init(""").replace(".put = put}", ".put = put, .exists = exists, .remove = drop}")


def test_a_storage_that_can_only_be_asked_for_keys(t):
    t.cc(t.write("bad.c", ASKED % ("return -ENOENT;", "return 0;")), "bad.so", flags=("-shared", "-fPIC", f"-I{ROOT}/plugin-api/include"))
    config = t.config(CONFIG.format(cache="a", plugin="./bad.so", type="bad.place", more="", task=""))
    there, other, gone = "a" * 32, "a" * 31 + "0", "b" * 32
    equal(names(t, config, other, gone, there, there.upper()), [other, there])
    equal(names(t, config, gone), [])
    contains(t.ctl("ls", "-c", config, "--storage", "fleet", "aaa", status=2).errors, "the plugin doesn't support this")
    contains(t.ctl("rm", "-c", config, "--storage", "fleet", "-n", there, gone).text, "would remove 1 record from fleet")
    contains(t.ctl("rm", "-c", config, "--storage", "fleet", there, gone).text, "removed 1 record from fleet")


def test_private_tasks_need_a_secret(t):
    program = t.cc(PROGRAM)
    for more, shared in (("", 0), (", secret: correct horse", 1)):
        one, two = (files_config(t, c + str(shared), "    private: true\n", more) for c in ("one", "two"))
        bare = t.run([program, 50, 7], config=one).out
        stop(t, one)
        equal(len(far(t)), shared)
        t.bodies()
        equal(t.run([program, 50, 7], config=two).out, bare)
        equal(t.bodies(), 1 - shared)
    other = files_config(t, "other", "    private: true\n", ", secret: another")
    t.run([program, 50, 7], config=other)
    equal(t.bodies(), 1, "who has another secret finds nothing")


def misbehave(t, get, put="return 0;", said="", again=()):
    program, config = t.cc(PROGRAM), bad_config(t, get, put)
    bare = t.bare([program, 500, 1, 2, 3]).out
    t.bodies()
    equal(t.run([program, 500, 1, 2, 3], config=config).out, bare)
    equal(t.bodies(), 3)
    t.wait(lambda: said in log(t, config), f"'{said}' in the log, which is\n{log(t, config)}", 30)
    equal(t.run([program, 500, 1, 2, 3], config=config).out, bare)
    equal(t.bodies(), 0)
    stop(t, config)
    t.wait(lambda: not t.service_pids(), "the service to leave", 20)


def test_a_crash_in_get(t):
    misbehave(t, "abort();", said="its code crashed")


def test_a_crash_in_put(t):
    misbehave(t, "return -ENOENT;", "abort();", said="its child process ended")


def test_a_hang_in_get(t):
    t.env["TASKCACHE_TEST_DEADLINE_MS"] = "2000"
    misbehave(t, "for (;;) pause();", said="took longer than 5 s")


def test_a_hang_in_put(t):
    t.env["TASKCACHE_TEST_DEADLINE_MS"] = "2000"
    misbehave(t, "return -ENOENT;", "for (;;) pause();", said="took longer than 5 s")


def test_an_error_with_its_cause(t):
    misbehave(t, 'host->cause(error, "the disk is on fire"); return -EIO;', said="the disk is on fire: Input/output error")


def test_too_much(t):
    misbehave(t, "to->used = 1ull << 40; return 0;", said="File too large")


def test_it_asks_for_room_for_ever(t):
    misbehave(t, "to->used = to->room + 1; return 0;", said="Value too large")


def test_a_positive_number(t):
    misbehave(t, "return 7;", said="Protocol error")


def test_it_writes_to_whatever_is_open(t):
    misbehave(t, 'for (int i = 0; i < 64; i++) if (write(i, "garbage garbage garbage garbage garbage garbage garbage", 48) < 0) continue; return -ENOENT;',
              said="its code")


def test_an_open_that_fails(t):
    t.env["TASKCACHE_TEST_DEADLINE_MS"] = "2000"
    program = t.cc(PROGRAM)
    config = t.config(CONFIG.format(cache="a", plugin=f"{t.build}/plugin-api/examples/files/files.so", type="files.directory", more="", task=""))
    bare = t.bare([program, 500, 1]).out
    t.bodies()
    equal(t.run([program, 500, 1], config=config).out, bare)
    equal(t.bodies(), 1)
    contains(log(t, config), "storage fleet can't be opened: the option `path`")


def test_what_the_config_cant_say(t):
    program = t.cc(PROGRAM)
    for kind, more, said in (("files.nothing", "", "registers no storage 'nothing'"), ("other.place", "", "no plugin 'other' is listed"),
                             ("files.directory", ", timeout: 1m", "between 1ms and 1s")):
        text = CONFIG.format(cache="a", plugin=f"{t.build}/plugin-api/examples/files/files.so", type=kind, more=more, task="")
        config = t.config(text.replace("timeout: 1s, timeout", "timeout"))
        contains(t.run([program, 5, 1], config=config, status=125).errors, said)
    equal(t.bodies(), 0)
