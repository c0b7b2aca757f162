/* cachectl why: what made calls miss. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/misses.h"
#include "tools/options.h"
#include "tools/units.h"
#include "tools/why_print.h"

#define USUAL_LIMIT 10

struct why {
    struct tc_parsed parsed;
    const char *limit;
    const struct tc_session *session;
    struct tc_reader reader;
    struct tc_catalog catalog;
    struct tc_sums sums;
    struct tc_known_misses misses;
    struct tc_json j;
};

static bool fits_any_word(const void *ctx, const char *identity)
{
    const struct tc_words *globs = ctx;
    for (size_t i = 0; i < globs->count; i++)
        if (tc_task_matches(globs->word[i], identity))
            return true;
    return globs->count == 0;
}

static bool is_task(const struct why *w, const char *word)
{
    struct tc_words one = {&word, 1, 1};
    struct tc_known_misses unstored = {0};
    bool is = false;
    for (size_t i = 0; i < w->catalog.identity_count && !is; i++)
        is = fits_any_word(&one, w->catalog.identity[i]);
    for (size_t i = 0; i < w->sums.count && !is; i++)
        is = fits_any_word(&one, w->sums.task[i].identity);
    if (!is && tc_misses_unstored((struct tc_reader *)(uintptr_t)&w->reader, &unstored) == 0)
        for (size_t i = 0; i < unstored.count && !is; i++)
            is = fits_any_word(&one, unstored.miss[i].identity);
    tc_misses_free(&unstored);
    return is;
}

/* The prototype that goes with a task's records: its newest one's. */
static void open_prototype(struct why *w, const char *identity, struct tc_shown_record *ret)
{
    const struct tc_item *item = NULL;
    for (size_t i = 0; i < w->catalog.count; i++)
        if (strcmp(w->catalog.item[i].identity, identity) == 0 &&
            (!item || w->catalog.item[i].head.record_id > item->head.record_id))
            item = &w->catalog.item[i];
    if (!item || tc_shown_record_open(ret, &w->reader, w->session, item) < 0)
        ret->task = NULL;
}

static const struct tc_task_sums *sums_of(const struct why *w, const char *identity)
{
    for (size_t i = 0; i < w->sums.count; i++)
        if (strcmp(w->sums.task[i].identity, identity) == 0)
            return &w->sums.task[i];
    return NULL;
}

static bool was_bypassed(const struct tc_task_sums *t)
{
    bool any = false;
    for (unsigned i = 0; t && i < TC_PAGE_REASONS; i++)
        any |= t->bypass[i] != 0;
    return any;
}

/* One task: `count` misses from `first` on. */
static void show_task(struct why *w, const char *identity, const struct tc_known_miss *first,
                      size_t count)
{
    const struct tc_task_sums *sums = sums_of(w, identity);
    struct tc_shown_record prototype = {.reader = NULL};
    const struct tc_why_facts facts = {&prototype, w->session->cache};
    open_prototype(w, identity, &prototype);
    if (w->parsed.common.json) {
        tc_json_object(&w->j, NULL);
        tc_json_text(&w->j, "task", identity);
        tc_json_array(&w->j, "misses");
        for (size_t i = 0; i < count; i++)
            tc_why_json(&w->j, &first[i], &facts);
        tc_json_close_array(&w->j);
        tc_sums_json_reasons(&w->j, sums ? sums : &(struct tc_task_sums){.task = 0});
        tc_json_close_object(&w->j);
    } else {
        printf("%s%s%s\n", tc_style(stdout, TC_BOLD), identity, tc_style(stdout, TC_PLAIN));
        for (size_t i = 0; i < count; i++)
            tc_why_print(&first[i], &facts);
        if (was_bypassed(sums)) {
            puts("  all in all");
            tc_why_print_bypasses(sums);
        }
    }
    tc_shown_record_close(&prototype);
}

static size_t show_missed(struct why *w)
{
    size_t tasks = 0;
    for (size_t i = 0, end; i < w->misses.count; i = end) {
        const struct tc_known_miss *m = &w->misses.miss[i];
        for (end = i; end < w->misses.count; end++)
            if (strcmp(w->misses.miss[end].identity, m->identity) != 0)
                break;
        show_task(w, m->identity, m, end - i);
        tasks++;
    }
    return tasks;
}

static bool has_missed(const struct why *w, const char *identity)
{
    for (size_t i = 0; i < w->misses.count; i++)
        if (strcmp(w->misses.miss[i].identity, identity) == 0)
            return true;
    return false;
}

static size_t show_bypassed(struct why *w)
{
    size_t tasks = 0;
    for (size_t i = 0; i < w->sums.count; i++) {
        const struct tc_task_sums *t = &w->sums.task[i];
        if (!was_bypassed(t) || has_missed(w, t->identity) ||
            !fits_any_word(&w->parsed.words, t->identity))
            continue;
        show_task(w, t->identity, NULL, 0);
        tasks++;
    }
    return tasks;
}

static int parse_limit(const struct why *w, size_t *ret)
{
    char *end;
    *ret = USUAL_LIMIT;
    if (!w->limit)
        return 0;
    unsigned long n = strtoul(w->limit, &end, 10);
    if (*end || end == w->limit || n == 0 || n > 100000)
        return -EINVAL;
    *ret = n;
    return 0;
}

static int explain(struct why *w, struct tc_miss_filter *filter)
{
    size_t tasks;
    int e = tc_misses_read(&w->reader, &w->catalog, filter, &w->misses);
    if (e < 0) {
        fprintf(stderr, "cachectl: the store can't be read: %s\n", strerror(-e));
        return TC_EXIT_USAGE;
    }
    if (w->parsed.common.json) {
        tc_json_begin(&w->j, stdout);
        tc_json_array(&w->j, NULL);
    }
    tasks = show_missed(w);
    if (!filter->key)
        tasks += show_bypassed(w);
    if (w->parsed.common.json) {
        tc_json_close_array(&w->j);
        tc_json_end(&w->j);
    } else if (tasks == 0) {
        puts("no call has missed");
        if (w->session->config && w->session->config->storages.count && !w->session->is_storage)
            puts("  what is known of results in a storage: `--storage NAME`");
    }
    return TC_EXIT_DONE;
}

static int explain_tasks(struct why *w, size_t limit)
{
    struct tc_miss_filter filter = {.task = fits_any_word, .ctx = &w->parsed.words, .limit = limit};
    return explain(w, &filter);
}

static int find(const struct why *w, const char *word, const struct tc_item **ret)
{
    int e = tc_catalog_find(&w->catalog, word, ret);
    if (e == -ENOENT || e == -EINVAL)
        fprintf(stderr, "cachectl: %s: no task and no record is called so\n", word);
    return e;
}

static int explain_key(struct why *w)
{
    const struct tc_item *item;
    if (find(w, w->parsed.words.word[0], &item) < 0)
        return TC_EXIT_USAGE;
    struct tc_miss_filter filter = {.key = &item->head, .limit = USUAL_LIMIT};
    return explain(w, &filter);
}

static void print_two(struct why *w, const struct tc_item *const item[2],
                      const struct tc_known_material m[2])
{
    struct tc_nearness n = tc_compare_all(tc_known_view(&m[0]), tc_known_view(&m[1]));
    struct tc_shown_record prototype = {.reader = NULL};
    const struct tc_why_facts facts = {&prototype, w->session->cache};
    char key[2][33];
    open_prototype(w, item[1]->identity, &prototype);
    for (int i = 0; i < 2; i++)
        tc_key_hex(&item[i]->head, key[i]);
    if (w->parsed.common.json) {
        tc_json_begin(&w->j, stdout);
        tc_json_object(&w->j, NULL);
        tc_json_text(&w->j, "was", key[0]);
        tc_json_text(&w->j, "now", key[1]);
        tc_json_u64(&w->j, "equal", n.equal);
        tc_why_json_differences(&w->j, &m[0], &m[1], &facts);
        tc_json_close_object(&w->j);
        tc_json_end(&w->j);
    } else {
        for (int i = 0; i < 2; i++)
            printf("  %.*s  %s\n", TC_KEY_SHOWN, key[i], item[i]->identity);
        printf("  %u components are equal, %u differ%s\n", n.equal, n.different,
               n.different ? ":" : "");
        tc_why_print_differences(&m[0], &m[1], &facts);
    }
    tc_shown_record_close(&prototype);
}

static int compare_keys(struct why *w)
{
    struct tc_known_material m[2] = {{0}, {0}};
    const struct tc_item *item[2];
    int e = 0;
    for (int i = 0; i < 2 && e == 0; i++) {
        const char *word = w->parsed.words.word[i];
        if (find(w, word, &item[i]) < 0)
            e = -ENOENT;
        else if ((e = tc_known_material_read(&w->reader, item[i]->head.key_low, &m[i])) < 0)
            fprintf(stderr, "cachectl: %s: the record can't be read: %s\n", word, strerror(-e));
    }
    if (e == 0)
        print_two(w, item, m);
    tc_known_material_free(&m[0]);
    tc_known_material_free(&m[1]);
    return e < 0 ? TC_EXIT_USAGE : TC_EXIT_DONE;
}

static int answer(struct why *w, size_t limit)
{
    const struct tc_words *words = &w->parsed.words;
    int64_t first_ns;
    if (tc_sums_read(&w->sums, &w->reader, &first_ns) < 0)
        tc_sums_free(&w->sums);
    for (size_t i = 0; i < words->count; i++)
        if (is_task(w, words->word[i]))
            return explain_tasks(w, limit);
    if (words->count > 2) {
        fprintf(stderr, "cachectl: %s: no task is called so; of keys it takes one or two\n",
                words->word[0]);
        return TC_EXIT_USAGE;
    }
    if (words->count == 2)
        return compare_keys(w);
    return words->count == 0 ? explain_tasks(w, limit) : explain_key(w);
}

/* Words are names of what isn't there. */
static int tell_empty(struct why *w)
{
    if (w->parsed.words.count) {
        fprintf(stderr, "cachectl: nothing is cached yet in %s\n", w->session->cache);
        return TC_EXIT_USAGE;
    }
    if (w->parsed.common.json) {
        tc_json_begin(&w->j, stdout);
        tc_json_array(&w->j, NULL);
        tc_json_close_array(&w->j);
        tc_json_end(&w->j);
    } else {
        printf("nothing is cached yet in %s\n", w->session->cache);
    }
    return TC_EXIT_DONE;
}

static int why_in(struct why *w, struct tc_session *session, size_t limit)
{
    int status = TC_EXIT_USAGE;
    w->session = session;
    if (!tc_session_inspect(session, w->parsed.common.config, w->parsed.common.storage, 0))
        return status;
    /* Once connected, all that targets have sent is stored. */
    (void)tc_session_connect(session);
    int e = tc_catalog_open(session, &w->reader, &w->catalog);
    if (e == 1)
        status = tell_empty(w);
    if (e == 0)
        status = answer(w, limit);
    tc_misses_free(&w->misses);
    tc_sums_free(&w->sums);
    tc_catalog_free(&w->catalog);
    tc_reader_close(&w->reader);
    return status;
}

static int run_why(const struct tc_command *self, int argc, char **argv)
{
    struct why w = {.limit = NULL};
    const struct tc_option options[] = {{'n', "limit", TC_OPTION_VALUE, &w.limit},
                                        {0, NULL, TC_OPTION_FLAG, NULL}};
    TC_CLEANUP(tc_session_close) struct tc_session session = {.client.fd = -1};
    int status;
    size_t limit;
    if (!tc_options_parse(self, options, TC_OPTIONS_ANYWHERE, argc, argv, &w.parsed, &status))
        ;
    else if (parse_limit(&w, &limit) < 0)
        status = tc_usage(self, "--limit takes a number, not '%s'", w.limit);
    else
        status = why_in(&w, &session, limit);
    tc_parsed_free(&w.parsed);
    return status;
}

const struct tc_command tc_command_why = {
    .storage = true,
    .name = "why",
    .summary = "Say why calls ran instead of being replayed",
    .usage = "why [OPTION...] [TASK-GLOB... | KEY [KEY2]]",
    .help = "  TASK-GLOB                  the latest misses of these tasks; none: of all\n"
            "  KEY                        why this record had to be made\n"
            "  KEY KEY2                   in what two records differ\n"
            "  -n, --limit N              so many misses of each task, usually 10\n",
    .run = run_why,
};
