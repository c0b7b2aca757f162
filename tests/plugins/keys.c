/* Key functions of every kind, for the conformance suite (E01 ...) and tests/e2e/test_plugins.py.
 */
#include <errno.h>
#include <string.h>

#include <taskcache/plugin.h>

static const struct taskcache_host *host;

static int constant(void *data, const struct taskcache_call *call, struct taskcache_cursor *key,
                    struct taskcache_error *error)
{
    (void)data, (void)call, (void)error;
    taskcache_put(key, "constant", 8);
    return 0;
}

static int never_the_same(void *data, const struct taskcache_call *call,
                          struct taskcache_cursor *key, struct taskcache_error *error)
{
    static unsigned count;

    (void)data, (void)call, (void)error;
    count++;
    taskcache_put(key, &count, sizeof count);
    return 0;
}

static int no_key(void *data, const struct taskcache_call *call, struct taskcache_cursor *key,
                  struct taskcache_error *error)
{
    (void)data, (void)call, (void)key, (void)error;
    return 0;
}

static int fails(void *data, const struct taskcache_call *call, struct taskcache_cursor *key,
                 struct taskcache_error *error)
{
    (void)data, (void)call;
    taskcache_put(key, "spoilt", 6);
    host->cause(error, "no such weather");
    host->cause(error, "the forecast");
    return -EIO;
}

/* The first argument's parity: what the key function sees are the call's values. */
static int parity(void *data, const struct taskcache_call *call, struct taskcache_cursor *key,
                  struct taskcache_error *error)
{
    const struct taskcache_value *v = taskcache_value_at(call, 0);
    char c;

    (void)data, (void)error;
    if (v == NULL || v->kind != TASKCACHE_INTEGER)
        return -EINVAL;
    c = (v->integer & 1) != 0 ? '1' : '0';
    taskcache_put(key, &c, 1);
    return 0;
}

/* More than a cursor has at first: asked twice, and digested. */
static int lengthy(void *data, const struct taskcache_call *call, struct taskcache_cursor *key,
                   struct taskcache_error *error)
{
    (void)data, (void)call, (void)error;
    for (int i = 0; i < 10000; i++)
        taskcache_put(key, "0123456789", 10);
    return 0;
}

static int init(const struct taskcache_host *h, struct taskcache_error *error)
{
    static const struct taskcache_key_function functions[] = {
        {sizeof functions[0], 0, "constant", NULL, constant},
        {sizeof functions[0], 0, "never_the_same", NULL, never_the_same},
        {sizeof functions[0], 0, "no_key", NULL, no_key},
        {sizeof functions[0], 0, "fails", NULL, fails},
        {sizeof functions[0], 0, "parity", NULL, parity},
        {sizeof functions[0], 0, "lengthy", NULL, lengthy},
    };
    int r = 0;

    (void)error;
    host = h;
    for (unsigned i = 0; r == 0 && i < sizeof functions / sizeof functions[0]; i++)
        r = host->add_key_function(host, &functions[i]);
    return r;
}

TASKCACHE_PLUGIN_OF_CODE("test", "1.0", "MIT", "Key functions", 0, init);
