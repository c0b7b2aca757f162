/*
 * Contexts of libzstd. Their parameters can be asked for; whether they have a dictionary, a prefix
 * or a sequence producer can't. So that is found out once in a process: these are given to contexts
 * of our own, and the bytes that change in the (opaque) struct are those that tell. In a context
 * without them they are as in a new one.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "keys.h"

#define MAX_BYTES 16384 /* of the struct: 5 KiB in libzstd 1.5 */
#define MAX_TELL  64    /* words that tell */

/* zstd.h. Functions that give a size_t give an error if it is near its end (ZSTD_isError). */
typedef struct ZSTD_CCtx_s ZSTD_CCtx;
typedef struct ZSTD_CDict_s ZSTD_CDict;

struct library {
    ZSTD_CCtx *(*create)(void);
    size_t (*destroy)(ZSTD_CCtx *);
    size_t (*size_of)(const ZSTD_CCtx *);
    size_t (*get)(const ZSTD_CCtx *, int parameter, int *value);
    size_t (*load_dictionary)(ZSTD_CCtx *, const void *, size_t);
    size_t (*refer_to_prefix)(ZSTD_CCtx *, const void *, size_t);
    size_t (*refer_to_cdict)(ZSTD_CCtx *, const ZSTD_CDict *);
    ZSTD_CDict *(*create_cdict)(const void *, size_t, int level);
    size_t (*destroy_cdict)(ZSTD_CDict *);
    unsigned (*is_error)(size_t);
    void (*register_producer)(ZSTD_CCtx *, void *state, void *producer); /* may be NULL */
};

/* What tells, in the library whose ZSTD_createCCtx is at `create`. */
struct knowledge {
    const void *create;
    uint32_t count;
    struct {
        uint64_t at, value; /* in a new context */
    } tell[MAX_TELL];
};

static int find_all(void *handle, struct library *ret)
{
    const struct {
        const char *name;
        void *to;
        int may_lack;
    } wanted[] = {
        {"ZSTD_createCCtx", &ret->create, 0},
        {"ZSTD_freeCCtx", &ret->destroy, 0},
        {"ZSTD_sizeof_CCtx", &ret->size_of, 0},
        {"ZSTD_CCtx_getParameter", &ret->get, 0},
        {"ZSTD_CCtx_loadDictionary", &ret->load_dictionary, 0},
        {"ZSTD_CCtx_refPrefix", &ret->refer_to_prefix, 0},
        {"ZSTD_CCtx_refCDict", &ret->refer_to_cdict, 0},
        {"ZSTD_createCDict", &ret->create_cdict, 0},
        {"ZSTD_freeCDict", &ret->destroy_cdict, 0},
        {"ZSTD_isError", &ret->is_error, 0},
        {"ZSTD_registerSequenceProducer", &ret->register_producer, 1},
    };

    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        void *f = dlsym(handle, wanted[i].name);
        if (f == NULL && !wanted[i].may_lack)
            return -ENOENT;
        memcpy(wanted[i].to, &f, sizeof f);
    }
    return 0;
}

static int open_library(const void *function, struct library *ret)
{
    Dl_info info;
    void *handle = NULL;
    int r = -ENOENT;

    if (dladdr(function, &info) != 0)
        handle = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    if (handle != NULL) {
        r = find_all(handle, ret);
        (void)dlclose(handle); /* the caller of the task keeps it */
    }
    (void)dlerror(); /* what wasn't found is no error of the program's */
    return r;
}

enum attachment {
    DICTIONARY,
    PREFIX,
    CDICT,
    PRODUCER,
    ATTACHMENTS,
};

static int attach(const struct library *l, enum attachment what, ZSTD_CCtx *to, ZSTD_CDict *cdict,
                  const char *text, size_t bytes)
{
    switch (what) {
    case DICTIONARY:
        return !l->is_error(l->load_dictionary(to, text, bytes));
    case PREFIX:
        return !l->is_error(l->refer_to_prefix(to, text, bytes));
    case CDICT:
        return !l->is_error(l->refer_to_cdict(to, cdict));
    default:
        if (l->register_producer != NULL)
            l->register_producer(to, to, to);
        return 1;
    }
}

static uint64_t word(const unsigned char *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof value);
    return value;
}

/* Adds the words that differ. 0: none, or more than there can be. */
static int compare(const unsigned char *before, const unsigned char *after, size_t bytes,
                   struct knowledge *k)
{
    uint32_t first = k->count;

    for (size_t i = 0; i + 8 <= bytes; i += 8) {
        if (word(before + i) == word(after + i))
            continue;
        if (k->count == MAX_TELL)
            return 0;
        k->tell[k->count].at = i;
        k->tell[k->count++].value = word(before + i);
    }
    return k->count > first;
}

static int try_one(const struct library *l, enum attachment what, ZSTD_CDict *cdict,
                   struct knowledge *k)
{
    static const char text[] = "a dictionary of no use to anybody, but long enough to be one";
    ZSTD_CCtx *c = l->create();
    size_t bytes = c != NULL ? l->size_of(c) : 0;
    unsigned char *before = bytes <= MAX_BYTES ? keys_host->allocate(bytes + 1) : NULL;
    int ok = 0;

    if (bytes > 0 && before != NULL) {
        memcpy(before, c, bytes);
        ok = attach(l, what, c, cdict, text, sizeof text) &&
             (compare(before, (const unsigned char *)c, bytes, k) ||
              (what == PRODUCER && l->register_producer == NULL));
    }
    if (before != NULL)
        keys_host->release(before);
    (void)l->destroy(c);
    return ok;
}

static int learn(const struct library *l, struct knowledge *k)
{
    ZSTD_CDict *cdict = l->create_cdict("dictionary", 10, 3);
    int ok = cdict != NULL;

    for (int what = 0; ok && what < ATTACHMENTS; what++)
        ok = try_one(l, (enum attachment)what, cdict, k);
    (void)l->destroy_cdict(cdict);
    memcpy(&k->create, &l->create, sizeof k->create);
    return ok ? 0 : -ENOTSUP;
}

/* One library is remembered; a second one is found out about each time. */
static int know(const struct library *l, struct knowledge *ret)
{
    enum {
        NOTHING,
        BUSY,
        KNOWN
    };
    static struct knowledge known;
    static atomic_int state;
    int was = NOTHING, r;

    if (atomic_load_explicit(&state, memory_order_acquire) == KNOWN &&
        memcmp(&known.create, &l->create, sizeof known.create) == 0) {
        *ret = known;
        return 0;
    }
    r = learn(l, ret);
    if (r == 0 && atomic_compare_exchange_strong(&state, &was, BUSY)) {
        known = *ret;
        atomic_store_explicit(&state, KNOWN, memory_order_release);
    }
    return r;
}

static int is_plain(const unsigned char *cctx, const struct knowledge *k)
{
    for (uint32_t i = 0; i < k->count; i++)
        if (word(cctx + k->tell[i].at) != k->tell[i].value)
            return 0;
    return 1;
}

/* ZSTD_cParameter, experimental ones included, up to the last number of each group and some room.
 */
static void put_parameters(const struct library *l, const ZSTD_CCtx *c,
                           struct taskcache_cursor *key)
{
    static const struct {
        int first, last;
    } groups[] = {{10, 10},   {100, 110}, {130, 135}, {160, 170},
                  {200, 205}, {400, 405}, {500, 505}, {1000, 1040}};

    for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++)
        for (int32_t p = groups[g].first; p <= groups[g].last; p++) {
            int value = 0;
            if (l->is_error(l->get(c, p, &value)))
                continue;
            taskcache_put(key, &p, sizeof p);
            taskcache_put(key, &value, sizeof value);
        }
}

int zstd_parameters(void *data, const struct taskcache_call *call, struct taskcache_cursor *key,
                    struct taskcache_error *error)
{
    const struct taskcache_value *v = taskcache_value(call, "cctx");
    const void *cctx = v != NULL && v->kind == TASKCACHE_POINTER ? v->data : NULL;
    struct library l = {NULL};
    struct knowledge k = {NULL};
    int r = cctx != NULL ? open_library(call->function, &l) : -EINVAL;

    (void)data;
    if (r == 0)
        r = know(&l, &k);
    if (r < 0) {
        keys_host->cause(error, "this libzstd doesn't tell about its contexts");
        return r;
    }
    if (!is_plain(cctx, &k)) {
        keys_host->cause(error, "the context has a dictionary, a prefix or a sequence producer");
        return -ENOTSUP;
    }
    put_parameters(&l, cctx, key);
    return 0;
}
