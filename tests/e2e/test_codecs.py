"""Values of somebody else's type, read and made by plugins' codecs."""
from harness import ROOT, contains, equal, lacks

INCLUDE = f"-I{ROOT}/plugin-api/include"
PROGRAM = r"""
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct list { struct list *next; char *text; long padding[2]; };

static void body(const char *name)
{
    FILE *log = fopen(getenv("BODY_LOG"), "a");
    fprintf(log, "%s\n", name);
    fclose(log);
}
static struct list *push(struct list *next, const char *text)
{
    struct list *l = malloc(sizeof *l);
    memset(l, rand() & 255, sizeof *l);
    l->next = next;
    l->text = strdup(text);
    return l;
}
static void drop(struct list *l)
{
    while (l) {
        struct list *next = l->next;
        free(l->text);
        free(l);
        l = next;
    }
}
static void show(const struct list *l)
{
    for (; l; l = l->next)
        printf("%s ", l->text);
    puts(".");
}
__attribute__((noinline, noclone)) int total(const struct list *l)
{
    int n = 0;
    body("total");
    for (; l; l = l->next)
        n += (int)strlen(l->text);
    return n;
}
__attribute__((noinline, noclone)) int make(int n, struct list **out)
{
    struct list *l = NULL;
    body("make");
    for (int i = 0; i < n; i++) {
        char text[64];
        snprintf(text, sizeof text, "number-%d", i);
        l = push(l, text);
    }
    *out = l;
    errno = EEXIST;
    return n;
}
__attribute__((noinline, noclone)) struct list *repeat(const char *text, int n)
{
    struct list *l = NULL;
    body("repeat");
    while (n-- > 0)
        l = push(l, text);
    return l;
}
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        int n = atoi(argv[i]);
        struct list *l = NULL;
        errno = 0;
        int r = make(n, &l);
        printf("make %d %d ", r, errno);
        show(l);
        printf("total %d %d\n", total(l), total(l));
        drop(l);
        l = repeat(argv[i], n);
        printf("repeat ");
        show(l);
        drop(l);
    }
    return 0;
}
"""
PLUGIN = r"""
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <taskcache/plugin.h>
struct list { struct list *next; char *text; long padding[2]; };
static const struct taskcache_host *host;

static int digest(void *data, const struct taskcache_call *call, const void *object, struct taskcache_digest *d, struct taskcache_error *error)
{
    (void)data, (void)call, (void)error;
    for (const struct list *l = object; l; l = l->next)
        host->add(d, l->text, strlen(l->text) + 1);
    return 0;
}
static int put(const struct list *l, struct taskcache_cursor *to)
{
    for (; l; l = l->next)
        taskcache_put(to, l->text, strlen(l->text) + 1);
    return 0;
}
static struct list *take(const char *p, unsigned long n)
{
    struct list *first = NULL, **end = &first;
    for (const char *stop = p + n; p < stop; p += strlen(p) + 1) {
        struct list *l = host->allocate(sizeof *l);
        l->text = host->allocate(strlen(p) + 1);
        strcpy(l->text, p);
        l->next = NULL;
        *end = l;
        end = &l->next;
    }
    return first;
}
/* struct list *: a result, or an input. */
static int encode_list(void *data, const struct taskcache_call *call, const void *object, struct taskcache_cursor *to, struct taskcache_error *error)
{
    (void)data, (void)call, (void)error;
    %(encode)s
    return put(object, to);
}
static int decode_list(void *data, const struct taskcache_call *call, const void *bytes, uint64_t n, void **object, struct taskcache_error *error)
{
    (void)data, (void)call, (void)error;
    %(decode)s
    *object = take(bytes, n);
    return 0;
}
/* struct list **: where the caller wants one. */
static int encode_place(void *data, const struct taskcache_call *call, const void *object, struct taskcache_cursor *to, struct taskcache_error *error)
{
    (void)data, (void)error;
    if (call->result == NULL || call->result->integer != taskcache_value(call, "n")->integer)
        return -EINVAL;
    return put(*(struct list *const *)object, to);
}
static int decode_place(void *data, const struct taskcache_call *call, const void *bytes, uint64_t n, void **object, struct taskcache_error *error)
{
    (void)data, (void)call, (void)error;
    *(struct list **)*object = take(bytes, n);
    return 0;
}
static int init(const struct taskcache_host *h, struct taskcache_error *error)
{
    static const struct taskcache_codec list = {sizeof list, %(version)s, "list", NULL, digest, encode_list, decode_list};
    static const struct taskcache_codec place = {sizeof place, 1, "place", NULL, NULL, encode_place, decode_place};
    (void)error;
    host = h;
    int r = h->add_codec(h, &list);
    return r ? r : h->add_codec(h, &place);
}
TASKCACHE_PLUGIN_OF_CODE("%(name)s", "1.0", "MIT", "Lists", 0, init);
"""
CONFIG = """plugins:
  - ./lists.so
types: |
  struct list;
tasks:
  - symbol: total
    prototype: |
      int total(codec(list) const struct list *l)
    cache_policy: INPUTS
  - symbol: make
    prototype: |
      int make(int n, out codec(lists.place) struct list **out)
    cache_policy: INPUTS
  - symbol: repeat
    prototype: |
      codec(list) struct list *repeat(const char *text, int n)
    cache_policy: INPUTS
"""


def plugin(t, version="1", decode="", encode="", name="lists", so="lists.so"):
    t.cc(t.write("lists.c", PLUGIN % {"version": version, "decode": decode, "encode": encode, "name": name}), so, flags=("-O1", "-g", "-shared", "-fPIC", INCLUDE))


def program(t):
    return t.cc(PROGRAM, "program", flags=("-O2", "-g"))


def run(t, argv, bodies, config=CONFIG):
    bare = t.bare(argv)
    t.bodies()
    r = t.run(argv, t.config(config), env={"TASKCACHE_LOG": "error"})
    equal((r.text, t.bodies()), (bare.text, bodies))
    return r


def test_lists_are_read_and_made(t):
    plugin(t)
    argv = [program(t), "3", "2", "0", "3"]
    # total runs once for each list: the second call of it is a hit at once. NULL lists make no objects: `repeat` of none is NULL.
    r = run(t, argv, 9)
    lacks(r.errors, "plugin")
    r = run(t, argv, 0)
    equal(r.err, b"")
    equal(t.stats(str(t.dir / "taskcache.yaml"))["bypasses"], 0)


def test_lists_of_any_size(t):
    plugin(t)
    argv = [program(t), "5000", "5000", "100000"]
    run(t, argv, 6)
    run(t, argv, 0)


def test_what_was_made_is_the_callers_to_free(t):
    """By an allocator that checks, and another one than libc's."""
    plugin(t)
    argv = [program(t), "3", "200"]
    run(t, argv, 6)
    bare = t.bare(argv)
    t.bodies()
    for env in ({"MALLOC_CHECK_": "3", "MALLOC_PERTURB_": "165", "GLIBC_TUNABLES": "glibc.malloc.check=3"}, {}):
        r = t.run(argv, t.config(CONFIG), env=env)
        equal((r.text, r.err, t.bodies()), (bare.text, b"", 0))


def test_another_data_version_is_a_miss(t):
    plugin(t)
    argv = [program(t), "3"]
    run(t, argv, 3)
    run(t, argv, 0)
    plugin(t, version="2")
    run(t, argv, 2)  # `make` goes by the other codec
    plugin(t)
    run(t, argv, 0)


def test_a_decoder_that_fails_is_a_miss(t):
    plugin(t)
    argv = [program(t), "3"]
    run(t, argv, 3)
    plugin(t, decode='host->cause(error, "spoilt"); return -EBADMSG;')
    r = run(t, argv, 1)
    contains(r.errors, "plugin lists: list: spoilt")


def test_an_encoder_that_does_what_it_must_not(t):
    """The caller has its value; nothing is stored."""
    for encode, text in (("return 7;", "list: returned 7"), ('host->cause(error, "half of it"); return -EIO;', "list: half of it"),
                         ("memset(to->bytes, 7, to->room + 100); return 0;", "list: wrote beyond its cursor's room"),
                         ("to->used = 1ull << 60; return 0;", "list: asked for more room than there is")):
        plugin(t, encode=encode)
        argv = [program(t), "3"]
        r = run(t, argv, 3)
        contains(r.errors, text)
        t.ctl("rm", "-c", str(t.dir / "taskcache.yaml"), "--all")


def test_a_decoder_that_makes_nothing(t):
    plugin(t)
    argv = [program(t), "3"]
    run(t, argv, 3)
    plugin(t, decode="return 0;")
    contains(run(t, argv, 1).errors, "list: decoded nothing")


def test_codecs_that_are_not_there(t):
    plugin(t)
    argv = [program(t), "3"]
    for old, new, text in (("codec(list) const", "codec(lisst) const", "no listed plugin registers a codec 'lisst'"),
                           ("codec(list) const", "codec(place) const", "codec 'place' of plugin 'lists' can't be used for an input: it has no digest()"),
                           ("codec(list) const struct list *l", "codec(list) int l", "isn't one pointer"),
                           ("out codec(", "inout codec(", "`inout` with a codec isn't built yet")):
        r = t.run(argv, t.config(CONFIG.replace(old, new)), status=None)
        contains(r.errors, text)
    plugin(t, name="others", so="others.so")
    r = t.run(argv, t.config(CONFIG.replace("  - ./lists.so\n", "  - ./lists.so\n  - ./others.so\n")), status=125)
    contains(r.errors, "plugins 'lists' and 'others' both register a codec 'list'")


def test_records_can_be_shown_and_explained(t):
    plugin(t)
    argv = [program(t), "3"]
    run(t, argv, 3)
    config = str(t.dir / "taskcache.yaml")
    for record in t.records(config):
        text = t.ctl("show", "-c", config, record["key"]).text
        lacks(text, "damaged")
    t.ctl("why", "-c", config, "total", status=None)
    t.ctl("verify", "-c", config)
