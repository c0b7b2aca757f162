/*
 * A plugin in one page: tasks, a key function, a codec, an option, an error. It makes the functions
 * of program.c (an imaginary libslow) cacheable; `test.sh` runs it.
 *
 *     cc -shared -fPIC -I../../include -o tiny.so tiny.c
 *     cachectl run --plugin ./tiny.so -- ./program
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <taskcache/plugin.h>

static const struct taskcache_task tasks[] = {
    /* The declaration from the header, and what C can't say: x points at n doubles. */
    TASKCACHE_TASK(.symbol = "slow_sum", .prototype = "double slow_sum(const double x[n], int n)"),

    /* The length of the output is known only afterwards: `<=` says how much room this call has. A
     * negative return is an error, which shouldn't be replayed. */
    TASKCACHE_TASK(.symbol = "slow_pack",
                   .prototype = "int slow_pack(const void in[n], size_t n,"
                                " out uint8_t packed[return <= capacity], size_t capacity)",
                   .skip = "n == 0", .success = "return >= 0", .cache_expiration = "7d"),

    /* Answers hold for an hour, so the hour is the key, by the key function below. */
    TASKCACHE_TASK(.symbol = "slow_forecast", .prototype = "double slow_forecast(int64_t when)",
                   .cache_policy = "KEY(tiny.hour) + TASK_SOURCE"),

    /* A type of libslow's own goes through the codec below. */
    TASKCACHE_TASK(.symbol = "slow_words", .types = "struct words;",
                   .prototype = "codec(tiny.words) struct words *slow_words(const char *text)"),
    TASKCACHE_TASK(.symbol = "slow_longest", .types = "struct words;",
                   .prototype = "int slow_longest(codec(tiny.words) const struct words *w)"),
};

static const struct taskcache_host *host;
static int64_t hour_seconds = 3600; /* options: { hour: 60 } */

static int hour(void *data, const struct taskcache_call *call, struct taskcache_cursor *key,
                struct taskcache_error *error)
{
    const struct taskcache_value *when = taskcache_value(call, "when");
    int64_t hours;

    (void)data;
    if (when == NULL || when->kind != TASKCACHE_INTEGER) {
        host->cause(error, "the task has no integer `when`");
        return -EINVAL;
    }
    hours = when->integer / hour_seconds;
    taskcache_put(key, &hours, sizeof hours);
    return 0;
}

/* libslow's header says: a list, to be freed word by word with free(). */
struct words {
    struct words *next;
    char *text;
};

static int digest(void *data, const struct taskcache_call *call, const void *object,
                  struct taskcache_digest *d, struct taskcache_error *error)
{
    (void)data, (void)call, (void)error;
    for (const struct words *w = object; w != NULL; w = w->next)
        host->add(d, w->text, strlen(w->text) + 1); /* with the NUL: "a" "b" isn't "ab" */
    return 0;
}

static int encode(void *data, const struct taskcache_call *call, const void *object,
                  struct taskcache_cursor *to, struct taskcache_error *error)
{
    (void)data, (void)call, (void)error;
    for (const struct words *w = object; w != NULL; w = w->next)
        taskcache_put(to, w->text, strlen(w->text) + 1);
    return 0;
}

static int decode(void *data, const struct taskcache_call *call, const void *bytes, uint64_t count,
                  void **object, struct taskcache_error *error)
{
    struct words *first = NULL, **end = &first;

    (void)data, (void)call;
    for (const char *p = bytes, *stop = p + count; p < stop; p += strlen(p) + 1) {
        struct words *w = host->allocate(sizeof *w);
        char *text = w != NULL ? host->allocate(strlen(p) + 1) : NULL;
        if (text == NULL) {
            host->release(w);
            for (; first != NULL; first = w) { /* nothing is kept on an error */
                w = first->next;
                host->release(first->text);
                host->release(first);
            }
            host->cause(error, "no memory for a list of words");
            return -ENOMEM;
        }
        *w = (struct words){NULL, strcpy(text, p)};
        *end = w;
        end = &w->next;
    }
    *object = first;
    return 0;
}

static int init(const struct taskcache_host *h, struct taskcache_error *error)
{
    static const struct taskcache_key_function key = {sizeof key, 0, "hour", NULL, hour};
    static const struct taskcache_codec words = {sizeof words, 1,      "words", NULL,
                                                 digest,       encode, decode};
    const struct taskcache_option *o = h->option(h, "hour");
    int r;

    host = h;
    if (o != NULL && (o->kind != TASKCACHE_OPTION_INTEGER || o->integer <= 0)) {
        h->cause(error, "option `hour` is a number of seconds");
        return -EINVAL;
    }
    hour_seconds = o != NULL ? o->integer : hour_seconds;
    r = h->add_key_function(h, &key);
    return r == 0 ? h->add_codec(h, &words) : r;
}

/* The code keeps nothing between calls but what init() set: threads and forks do no harm. */
TASKCACHE_PLUGIN_WITH_CODE("tiny", "1.0", "MIT", "Functions of an imaginary libslow", tasks,
                           TASKCACHE_THREAD_SAFE | TASKCACHE_FORK_SAFE, init);
