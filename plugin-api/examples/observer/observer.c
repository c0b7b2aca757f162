/*
 * An observer: what became of calls, as lines of text, for whoever collects metrics.
 *
 *     plugins:
 *       - path: ./observer.so
 *         options: { file: /var/log/taskcache-calls }
 *
 * It runs in a child process of the service; the programs never load it.
 */
#include <errno.h>
#include <stdio.h>

#include <taskcache/plugin.h>

static const char *path;

static void notify(void *data, const struct taskcache_event *e)
{
    static const char *const words[] = {
        [TASKCACHE_HITS] = "hits",
        [TASKCACHE_MISSES] = "misses",
        [TASKCACHE_STORED] = "stored",
        [TASKCACHE_BYPASSED] = "bypassed",
    };
    FILE *f;

    (void)data;
    if (e->kind < TASKCACHE_HITS || e->kind > TASKCACHE_BYPASSED)
        return; /* of a later version */
    f = fopen(path, "ae");
    if (f == NULL)
        return;
    fprintf(f, "%lld %s %s %llu %.3f ms%s%s\n", (long long)(e->at_ns / 1000000000), e->task,
            words[e->kind], (unsigned long long)e->count, (double)e->duration_ns / 1e6,
            e->reason != NULL ? " " : "", e->reason != NULL ? e->reason : "");
    fclose(f);
}

static int init(const struct taskcache_host *host, struct taskcache_error *error)
{
    static const struct taskcache_observer lines = {sizeof lines, 0, "lines", NULL, notify};
    const struct taskcache_option *o = host->option(host, "file");

    if (o == NULL || o->text[0] != '/') {
        host->cause(error, "option `file` is an absolute path");
        return -EINVAL;
    }
    path = o->text; /* options stay */
    if (!TASKCACHE_HAS(host, add_observer))
        return -ENOTSUP;
    return host->add_observer(host, &lines);
}

TASKCACHE_PLUGIN_OF_CODE("observer", "1.0", "MIT", "Writes what became of calls", 0, init);
