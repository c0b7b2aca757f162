"""What plugin.h and value.h ask of a plugin, broken, in a process of its own: the program's output is a bare run's.

tests/plugins/README.md says which test breaks what.
"""
import json

from harness import ROOT, contains, equal, lacks

PROGRAM = r"""
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
struct text { long bytes; char letters[]; };
static void body(const char *name)
{
    int fd = open(getenv("BODY_LOG"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || write(fd, name, strlen(name)) < 0)
        _exit(99);
    close(fd);
}
__attribute__((noinline, noclone)) int f(int x)
{
    body("f\n");
    return x * 2;
}
__attribute__((noinline, noclone)) struct text *twice(const struct text *t)
{
    struct text *r = malloc(sizeof *r + 2 * (size_t)t->bytes);
    body("twice\n");
    r->bytes = 2 * t->bytes;
    memcpy(r->letters, t->letters, (size_t)t->bytes);
    memcpy(r->letters + t->bytes, t->letters, (size_t)t->bytes);
    return r;
}
int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "fork") == 0) {
            pid_t child = fork();
            if (child == 0) {
                printf("%d\n", f(1));
                _exit(0);
            }
            waitpid(child, NULL, 0);
        } else if (argv[i][0] >= '0' && argv[i][0] <= '9') {
            printf("%d\n", f(atoi(argv[i])));
        } else {
            struct text *t = malloc(sizeof *t + strlen(argv[i])), *r;
            t->bytes = (long)strlen(argv[i]);
            memcpy(t->letters, argv[i], strlen(argv[i]));
            r = twice(t);
            printf("%.*s\n", (int)r->bytes, r->letters);
            free(t);
            free(r);
        }
    }
    return 0;
}
"""
PLUGIN = r"""
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <taskcache/plugin.h>
struct text { long bytes; char letters[]; };
static const struct taskcache_host *host;
%(more)s
static int key(void *data, const struct taskcache_call *call, struct taskcache_cursor *to, struct taskcache_error *error)
{
    (void)data, (void)call, (void)error;
    %(key)s
    taskcache_put(to, "k", 1);
    return 0;
}
static int digest(void *data, const struct taskcache_call *call, const void *object, struct taskcache_digest *to, struct taskcache_error *error)
{
    (void)data, (void)call, (void)error;
    const struct text *t = (const struct text *)object;
    %(digest)s
    host->add(to, t, sizeof *t + (size_t)t->bytes);
    return 0;
}
static int encode(void *data, const struct taskcache_call *call, const void *object, struct taskcache_cursor *to, struct taskcache_error *error)
{
    (void)data, (void)call, (void)error;
    const struct text *t = (const struct text *)object;
    %(encode)s
    taskcache_put(to, t, sizeof *t + (size_t)t->bytes);
    return 0;
}
static int decode(void *data, const struct taskcache_call *call, const void *bytes, uint64_t n, void **object, struct taskcache_error *error)
{
    (void)data, (void)call, (void)error;
    %(decode)s
    *object = memcpy(host->allocate(n), bytes, n);
    return 0;
}
static int init(const struct taskcache_host *h, struct taskcache_error *error)
{
    static struct taskcache_key_function f;
    static struct taskcache_codec c;
    f.struct_size = sizeof f, f.name = "key", f.compute = key;
    c.struct_size = sizeof c, c.data_version = 1, c.name = "text", c.digest = digest, c.encode = encode, c.decode = decode;
    (void)error;
    host = h;
    %(init)s
    int r = h->add_key_function(h, &f);
    r = r != 0 ? r : h->add_codec(h, &c);
    %(late)s
    return r;
}
TASKCACHE_PLUGIN_OF_CODE("bad", "1.0", "MIT", "Breaks what is asked of it", %(flags)s, init);
"""
CONFIG = """plugins:
  - ./bad.so
types: |
  struct text;
tasks:
  - symbol: f
    prototype: 'int f(int x)'
    cache_policy: INPUTS + KEY(bad.key)
  - symbol: twice
    prototype: |
      codec(text) struct text *twice(codec(text) const struct text *t)
    cache_policy: INPUTS
"""
PARTS = ("more", "key", "digest", "encode", "decode", "init", "late")


def plugin(t, compiler=None, flags="0", **parts):
    text = PLUGIN % {**{p: parts.get(p, "") for p in PARTS}, "flags": flags}
    t.cc(t.write("bad.cc" if compiler else "bad.c", text), "bad.so", compiler=compiler,
         flags=("-O1", "-g", "-shared", "-fPIC", "-pthread", f"-I{ROOT}/plugin-api/include"))


def run(t, argv, bodies, status=0):
    """With the plugin, and bare: the same output. How many bodies ran is None where it may be either."""
    if not (t.dir / "program").exists():
        t.cc(PROGRAM, "program", flags=("-O2", "-pthread"))
    argv = [str(t.dir / "program"), *argv]
    bare = t.bare(argv)
    t.bodies()
    r = t.run(argv, t.config(CONFIG), env={"TASKCACHE_LOG": "error"}, status=status)
    ran = t.bodies()
    equal(r.text, bare.text if status == 0 else "")
    if bodies is not None:
        equal(ran, bodies)
    return r


def bypassed(t, reason):
    return t.stats(str(t.dir / "taskcache.yaml"))["bypass_reasons"].get(reason, 0)


# What code in somebody else's program must not do there.
def test_it_starts_a_thread(t):
    plugin(t, more="static void *work(void *x) { usleep(1000); return x; }",
           key="pthread_t p; if (pthread_create(&p, NULL, work, NULL) == 0) pthread_join(p, NULL);")
    run(t, ["1", "1"], 1)


def test_it_forks(t):
    plugin(t, key="pid_t p = fork(); if (p == 0) _exit(0); waitpid(p, NULL, 0);")
    run(t, ["1", "1"], 1)


def test_it_closes_what_it_has_not_opened(t):
    plugin(t, key="for (int i = 3; i < 1024; i++) close(i);")
    run(t, ["1", "1", "2"], None)


def test_it_changes_signals_the_locale_and_the_directory(t):
    plugin(t, key='sigset_t all; sigfillset(&all); pthread_sigmask(SIG_BLOCK, &all, NULL); signal(SIGPIPE, SIG_DFL); setlocale(LC_ALL, "C"); if (chdir("/") != 0) return -EIO;')
    run(t, ["1", "1", "2"], None)


def test_it_ends_the_process(t):
    """Nobody can hold it up: the one case that the program sees."""
    plugin(t, key="_exit(7);")
    run(t, ["1"], 0, status=7)


def test_claims_that_do_not_hold(t):
    """THREAD_SAFE and FORK_SAFE are believed; VECTOR_SAFE saves only what the call itself may have in vectors."""
    plugin(t, flags="TASKCACHE_THREAD_SAFE | TASKCACHE_FORK_SAFE | TASKCACHE_VECTOR_SAFE",
           more="static unsigned calls;", key="calls++; volatile long double x = calls; x *= 3;")
    run(t, ["1", "fork", "1", "2"], 2)


def test_a_fork_without_the_claim(t):
    plugin(t)
    run(t, ["1", "fork", "1"], 2)
    equal(bypassed(t, "plugin-after-fork"), 1)


# Values, cursors and errors: the host's.
def test_it_writes_into_values(t):
    plugin(t, key="struct taskcache_value *v = (struct taskcache_value *)(uintptr_t)taskcache_value_at(call, 0);"
                  " v->integer = 999; v->kind = 77; v->name = NULL; v->data = (void *)8;")
    run(t, ["1", "2", "1", "2"], 2)


def test_it_moves_the_cursor(t):
    for key in ("to->bytes = NULL; to->room = 0;", "static unsigned char own[1 << 20]; to->bytes = own; to->room = sizeof own;",
                'memcpy(to->bytes, "key", 3); to->bytes += 3; to->used = 3; return 0;'):
        plugin(t, key=key)
        contains(run(t, ["1", "1"], 2).errors, "key: moved its cursor")
    plugin(t, encode="to->bytes = (unsigned char *)(uintptr_t)t;")
    contains(run(t, ["ab", "ab"], 2).errors, "text: moved its cursor")


def test_it_keeps_what_it_was_given(t):
    plugin(t, more="static const struct taskcache_call *kept; static struct taskcache_error *kept_error;",
           key='if (kept_error != NULL) { host->cause(kept_error, "too late"); volatile uint32_t n = kept->value_count; (void)n; } kept = call; kept_error = error;')
    r = run(t, ["1", "2", "1", "2"], 2)
    lacks(r.errors, "plugin")


def test_it_keeps_the_digest(t):
    plugin(t, more="static struct taskcache_digest *kept;", digest="kept = to;", encode='host->add(kept, "x", 1);')
    lacks(run(t, ["ab", "cd", "ab", "cd"], 2).errors, "plugin")


def test_more_causes_than_are_kept(t):
    plugin(t, key='static char text[4096]; memset(text, 120, sizeof text - 1); for (int i = 0; i < 100; i++) host->cause(error, text); host->cause(error, NULL); return -EIO;')
    r = run(t, ["1", "1"], 2)
    contains(r.errors, "x" * 100)


# Codecs.
def test_codecs_that_throw(t):
    for part, bodies in (("digest", 2), ("encode", 2)):
        plugin(t, compiler="g++", **{part: "throw 5;"})
        r = run(t, ["ab", "ab"], bodies)
        contains(r.errors, "threw an exception")
    plugin(t, compiler="g++")
    run(t, ["ab", "ab"], 1)
    plugin(t, compiler="g++", decode="throw 5;")
    contains(run(t, ["ab", "ab"], 2).errors, "threw an exception")


def test_a_decoder_that_changes_something_and_fails(t):
    plugin(t)
    run(t, ["ab", "ab"], 1)
    plugin(t, decode="*object = host->allocate(64); return -EBADMSG;")
    contains(run(t, ["ab", "ab"], 2).errors, "text: returned -74")


def test_a_codec_without_what_a_parameter_needs(t):
    for late, said in (("c.digest = NULL;", "it has no digest()"), ("c.encode = NULL;", "no encode()"), ("c.decode = NULL;", "no")):
        plugin(t, init=late)
        r = run_refused(t, ["ab"])
        contains(r.errors, "codec 'text' of plugin 'bad' can't be used")
        contains(r.errors, said)


def run_refused(t, argv):
    if not (t.dir / "program").exists():
        t.cc(PROGRAM, "program", flags=("-O2", "-pthread"))
    return t.run([str(t.dir / "program"), *argv], t.config(CONFIG), env={"TASKCACHE_LOG": "error"}, status=None)


# Registration.
def test_what_was_registered_is_copied_but_texts_are_not(t):
    """The struct may go; a name must stay: a key function that is called otherwise in the program isn't there."""
    plugin(t, late="memset(&f, 0, sizeof f); memset(&c, 0, sizeof c);")
    run(t, ["1", "1", "ab", "ab"], 2)
    t.ctl("rm", "-c", str(t.dir / "taskcache.yaml"), "--all")
    plugin(t, init='static char name[] = "key"; f.name = name;', late='if (getenv("BODY_LOG")) name[0] = 0;')
    run(t, ["1", "1"], 2)


def test_more_than_64_of_a_kind(t):
    plugin(t, late='for (int i = 0; i < 63; i++) { static char names[63][8]; snprintf(names[i], 8, "k%d", i); f.name = names[i]; r |= h->add_key_function(h, &f); }'
                   ' f.name = "more"; if (r != 0 || h->add_key_function(h, &f) != -ENOSPC) return -EIO;')
    r = run(t, ["1", "1"], None)
    contains(r.errors, "plugin-init")


def test_reserved_members_and_memory_in_init(t):
    plugin(t, init="f.reserved = 7; h->release(h->allocate(100));")
    run(t, ["1", "1"], 1)


def test_structs_that_cannot_be(t):
    for init in ("f.struct_size = 3;", "f.compute = NULL;", 'f.name = "a.b";', "c.struct_size = 0;", "c.name = NULL;"):
        plugin(t, init=init)
        contains(run(t, ["1", "1"], 2).errors, "plugin-init")
    for add in ("storage", "lock_manager", "observer"):
        plugin(t, init=f"static struct taskcache_{add} s; s.struct_size = sizeof s; s.name = \"s\";"
                       f" if (h->add_{add}(h, &s) == 0) abort(); return h->add_{add}(h, NULL) == -EINVAL ? -EPERM : 1;")
        contains(run(t, ["1", "1"], 2).errors, "its `init` failed")


# Descriptors, read by a process that runs nothing of them.
DESCRIPTORS = {
    "no_descriptor": "exports no object", "wrong_magic": "magic", "other_major": "plugin ABI 2.0", "unknown_flag": "doesn't have",
    "short_struct": "64 bytes", "long_struct": "4096 bytes", "short_task": "8 bytes", "odd_task": "89 bytes", "many_tasks": "1001 tasks",
    "table_too_long": "task", "null_table": "table of tasks", "no_name": "name is missing", "bad_name": "name must be", "long_name": "1 to 63",
    "control_version": "control character", "no_version": "version is missing", "foreign_licence": "outside of the plugin's own data",
    "no_symbol": "`symbol` is missing", "no_prototype": "`prototype` is missing", "foreign_symbol": "`symbol` lies outside",
}


def test_descriptors_that_cannot_be(t):
    for name, said in DESCRIPTORS.items():
        r = t.ctl("plugins", str(t.build / "tests" / "plugins" / f"{name}.so"), status=1)
        contains(r.errors, said)
        lacks(r.text, "task     f")


def test_a_program_with_such_descriptors_runs(t):
    """Each alone in a config, by LD_PRELOAD: the refusal is told, the task of the config works, or isn't hooked."""
    program = t.cc(PROGRAM, "program", flags=("-O2", "-pthread"))
    bare = t.bare([program, "1"]).text
    for name in DESCRIPTORS:
        config = t.config(f"plugins: [ {t.build}/tests/plugins/{name}.so ]\ntasks:\n  - symbol: f\n    prototype: 'int f(int x)'\n", name + ".yaml")
        equal(t.preload([program, "1"], config).text, bare)


# In children of the service.
FAR = r"""
#include <errno.h>
#include <string.h>
#include <taskcache/plugin.h>
static const struct taskcache_host *host;
static struct taskcache_storage s;
static struct taskcache_observer o;
static int get(void *data, const char *key, struct taskcache_cursor *to, struct taskcache_error *error)
{
    (void)data, (void)key, (void)to;
    s.name = "another", o.name = "another";
    if (host->add_storage(host, &s) != -EPERM || host->add_observer(host, &o) != -EPERM)
        host->cause(error, "registered when init was over");
    else
        host->cause(error, "refused when init was over");
    return -EIO;
}
static void notify(void *data, const struct taskcache_event *e)
{
    (void)data;
    memset((void *)(uintptr_t)e->task, 'x', strlen(e->task));
    memset((void *)(uintptr_t)e, 0, sizeof *e);
}
static int init(const struct taskcache_host *h, struct taskcache_error *error)
{
    (void)error;
    host = h;
    s.struct_size = sizeof s, s.name = "place", s.get = get;
    o.struct_size = sizeof o, o.name = "scribbler", o.notify = notify;
    int r = h->add_storage(h, &s);
    return r != 0 ? r : h->add_observer(h, &o);
}
TASKCACHE_PLUGIN_OF_CODE("bad", "1.0", "MIT", "Bad", 0, init);
"""


def test_nothing_is_registered_after_init_in_the_service(t):
    """An observer that scribbles over its events is there, too."""
    t.cc(t.write("bad.c", FAR), "bad.so", flags=("-shared", "-fPIC", f"-I{ROOT}/plugin-api/include"))
    config = t.config("plugins: [ ./bad.so ]\nstorages: { there: { type: bad.place } }\ntasks:\n  - symbol: f\n    prototype: 'int f(int x)'\n"
                      "    cache_policy: INPUTS\n    result_storage: there\n")
    program = t.cc(PROGRAM, "program", flags=("-O2", "-pthread"))
    equal((t.run([program, "1", "1"], config).text, t.bodies()), ("2\n2\n", 1))
    t.wait(lambda: "when init was over" in t.ctl("log", "-c", config).text, "the storage's error in the log", 20)
    contains(t.ctl("log", "-c", config).text, "refused when init was over")


def test_a_storage_without_get(t):
    t.cc(t.write("bad.c", FAR.replace("s.get = get;", "(void)get;")), "bad.so", flags=("-shared", "-fPIC", f"-I{ROOT}/plugin-api/include"))
    program = t.cc(PROGRAM, "program", flags=("-O2", "-pthread"))
    config = t.config("plugins: [ ./bad.so ]\ntasks:\n  - symbol: f\n    prototype: 'int f(int x)'\n    cache_policy: INPUTS\n")
    r = t.run([program, "1", "1"], config)
    equal((r.text, t.bodies()), ("2\n2\n", 1))
    contains(r.errors, "plugin-init")


# Plugins that come along.
def test_the_functions_that_are_promised_are_there(t):
    found = {p["name"]: p["tasks"] for p in json.loads(t.ctl("plugins", "--json").out)}
    names = {n: {s.split("@")[0] for s in symbols} for n, symbols in found.items()}
    objects = {s.split("@")[0]: s for s in found["lapack"] if "mkl" in s}
    for letter in "sdcz":
        real = letter in "sd"
        drivers = ["gesdd", "gesvd", "geev", "gesv", "potrf", "getrf", "geqrf", "gelsd", *(("syevd", "syevr", "orgqr") if real else ("heevd", "heevr", "ungqr"))]
        for d in (letter + x for x in drivers):
            for name in (d + "_", f"scipy_{d}_", d + "_64_", f"scipy_{d}_64_", d, d.upper()):
                contains(sorted(names["lapack"]), name)
            for name in (d, d.upper()):
                contains(objects[name], "libmkl_")
    for name in ("compress2", "ZSTD_compress", "ZSTD_compressCCtx", "ZSTD_compress2", "BZ2_bzBuffToBuffCompress", "lzma_stream_buffer_encode",
                 "LZ4_compress_HC", "lzo1x_999_compress_level", "BrotliEncoderCompress"):
        contains(sorted(names["compress"]), name)
    for name in ("getaddrinfo", "getnameinfo"):
        contains(sorted(names["netdb"]), name)
