/* cachectl stats: hits, misses, bypasses and what they saved. */
#include <stdio.h>
#include <string.h>

#include "tools/catalog.h"
#include "tools/far_commands.h"
#include "tools/options.h"
#include "tools/repeats.h"
#include "tools/sums.h"
#include "tools/units.h"
#include "tools/wrong.h"

#define DEFAULT_MAX_BYTES (UINT64_C(10) << 30)

struct stats {
    struct tc_sums sums;
    struct tc_repeats repeats;
    struct tc_known_misses wrong;
    uint64_t size_bytes, max_bytes, records, evicted;
    int64_t first_ns;
    bool service;
};

static void add_page(struct stats *s, const struct tc_shared_page *page)
{
    s->size_bytes = __atomic_load_n(&page->size_bytes, __ATOMIC_RELAXED);
    s->max_bytes = __atomic_load_n(&page->max_size_bytes, __ATOMIC_RELAXED);
    s->records = __atomic_load_n(&page->record_count, __ATOMIC_RELAXED);
    s->evicted = __atomic_load_n(&page->evicted, __ATOMIC_RELAXED);
}

/* Without a service nobody keeps the sum. */
static int add_sizes(struct stats *s, struct tc_reader *r)
{
    struct tc_catalog catalog = {0};
    int e = tc_catalog_read(r, &catalog);
    for (size_t i = 0; i < catalog.count; i++)
        s->size_bytes += catalog.item[i].bytes;
    s->records = catalog.count;
    tc_catalog_free(&catalog);
    return e;
}

static int gather(struct stats *s, struct tc_reader *r)
{
    int e = tc_sums_read(&s->sums, r, &s->first_ns);
    if (e == 0)
        e = tc_repeats_read(r, &s->repeats);
    if (e == 0)
        e = tc_wrong_read(r, &s->wrong);
    if (e < 0)
        return e;
    if (r->page)
        add_page(s, r->page);
    else
        e = add_sizes(s, r);
    return e;
}

static void print_json(const struct stats *s, struct tc_session *session)
{
    struct tc_json j;
    tc_json_begin(&j, stdout);
    tc_json_object(&j, NULL);
    tc_sums_json_head(&j, &s->sums.all);
    tc_json_u64(&j, "size_bytes", s->size_bytes);
    tc_json_u64(&j, "max_size_bytes", s->max_bytes);
    tc_json_u64(&j, "records", s->records);
    tc_json_u64(&j, "stored", s->sums.all.stored);
    tc_json_u64(&j, "evicted", s->evicted);
    tc_json_u64(&j, "missed_ns", s->sums.all.missed_ns);
    tc_sums_json_reasons(&j, &s->sums.all);
    tc_json_text(&j, "cache", session->cache);
    tc_json_bool(&j, "service", s->service);
    tc_sums_json_tasks(&j, &s->sums);
    tc_repeats_json(&j, &s->repeats, &s->sums);
    tc_wrong_json(&j, &s->wrong);
    tc_far_stats_json(session, &j);
    tc_json_close_object(&j);
    tc_json_end(&j);
}

static void print_text(struct stats *s, struct tc_session *session, bool verbose)
{
    char size[TC_UNITS_BYTES], max[TC_UNITS_BYTES], since[TC_UNITS_BYTES];
    printf("%-18s %s\n", "Cache", session->cache);
    if (s->first_ns)
        printf("%-18s %s\n", "Since", tc_units_time(s->first_ns, since));
    tc_sums_print(&s->sums.all, stdout);
    printf("%-18s %10llu\n", "Records", (unsigned long long)s->records);
    printf("%-18s %10s / %s", "Size", tc_units_bytes(s->size_bytes, size),
           tc_units_bytes(s->max_bytes, max));
    printf(" (%.2f %%)\n",
           s->max_bytes ? 100.0 * (double)s->size_bytes / (double)s->max_bytes : 0.0);
    tc_repeats_print(&s->repeats, &s->sums, stdout);
    tc_wrong_print(&s->wrong, stdout);
    tc_far_stats_text(session);
    if (verbose) {
        printf("%-18s %10llu\n", "Stored", (unsigned long long)s->sums.all.stored);
        printf("%-18s %10llu\n", "Evicted", (unsigned long long)s->evicted);
        printf("%-18s %10s\n", "Service", s->service ? "running" : "not running");
        if (s->sums.count)
            putchar('\n');
        tc_sums_print_tasks(&s->sums, stdout);
    }
}

static int show_stats(struct tc_session *session, const struct tc_parsed *parsed, bool verbose)
{
    struct stats s = {.max_bytes = DEFAULT_MAX_BYTES};
    struct tc_reader reader = {0};
    struct tc_cause cause = {.reason = 0};
    if (session->is_storage && session->max_size_bytes)
        s.max_bytes = session->max_size_bytes;
    else if (!session->is_storage && session->config && session->config->max_size_bytes)
        s.max_bytes = session->config->max_size_bytes;
    s.service = tc_session_connect(session) == 0;
    int e = tc_reader_open(&reader, session, &cause);
    bool empty = e < 0 && !cause.reason;
    if (e == 0 && gather(&s, &reader) < 0)
        (void)tc_cause_set(&cause, 1, TC_R_NO_STORE, session->cache, NULL);
    if (cause.reason)
        tc_problem(&cause);
    else if (parsed->common.json)
        print_json(&s, session);
    else if (empty)
        printf("nothing is cached yet in %s\n", session->cache);
    else
        print_text(&s, session, verbose);
    tc_repeats_free(&s.repeats);
    tc_misses_free(&s.wrong);
    tc_sums_free(&s.sums);
    tc_reader_close(&reader);
    return cause.reason ? TC_EXIT_USAGE : TC_EXIT_DONE;
}

static int run_stats(const struct tc_command *self, int argc, char **argv)
{
    bool verbose = false;
    const struct tc_option options[] = {{'v', "verbose", TC_OPTION_FLAG, &verbose},
                                        {0, NULL, TC_OPTION_FLAG, NULL}};
    TC_CLEANUP(tc_parsed_free) struct tc_parsed parsed;
    struct tc_session session;
    int status;
    if (!tc_options_parse(self, options, TC_OPTIONS_ANYWHERE, argc, argv, &parsed, &status))
        return status;
    if (parsed.words.count)
        return tc_usage(self, "it takes no arguments");
    status = TC_EXIT_USAGE;
    if (tc_session_inspect(&session, parsed.common.config, parsed.common.storage, 0))
        status = show_stats(&session, &parsed, verbose);
    tc_session_close(&session);
    return status;
}

const struct tc_command tc_command_stats = {
    .storage = true,
    .name = "stats",
    .summary = "Say what was replayed, and how much time that saved",
    .usage = "stats [OPTION...]",
    .help = "  -v, --verbose              each task, and more numbers\n",
    .run = run_stats,
};
