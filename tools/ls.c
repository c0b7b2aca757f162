/* cachectl ls: the stored results. */
#include <stdio.h>
#include <stdlib.h>

#include "tools/catalog.h"
#include "tools/far_commands.h"
#include "tools/json.h"
#include "tools/options.h"
#include "tools/units.h"

static int by_age(const void *a, const void *b)
{
    const struct tc_item *x = a, *y = b;
    return x->head.created_ns < y->head.created_ns ? 1 : -(x->head.created_ns > y->head.created_ns);
}

static bool is_wanted(const struct tc_item *item, const struct tc_words *globs)
{
    for (size_t i = 0; i < globs->count; i++)
        if (tc_task_matches(globs->word[i], item->identity))
            return true;
    return globs->count == 0;
}

static void expiry_cell(struct tc_table *t, const struct tc_record *head, int64_t now)
{
    char text[TC_UNITS_BYTES];
    if (head->expires_ns == TC_NEVER)
        tc_table_cell(t, "never");
    else if (tc_record_live(head, now))
        tc_table_cellf(t, "in %s", tc_units_duration(head->expires_ns - now, text));
    else
        tc_table_cell(t, "expired");
}

static void add_row(struct tc_table *t, const struct tc_item *item, int64_t now)
{
    char key[33], text[TC_UNITS_BYTES];
    tc_key_hex(&item->head, key);
    tc_table_cellf(t, "%.*s", TC_KEY_SHOWN, key);
    tc_table_cell(t, item->identity);
    tc_table_cell(t, tc_units_bytes(item->bytes, text));
    tc_table_cell(t, tc_units_duration(now - item->head.created_ns, text));
    expiry_cell(t, &item->head, now);
    tc_table_cell(t, tc_units_duration(item->head.duration_ns, text));
    tc_table_cell(t, item->program);
}

static void print_table(const struct tc_catalog *c, const struct tc_words *globs)
{
    static const char *const heads[] = {"KEY",     "TASK",     "SIZE",   "AGE",
                                        "EXPIRES", "DURATION", "PROGRAM"};
    char text[TC_UNITS_BYTES];
    struct tc_table t;
    int64_t now = tc_now_ns();
    uint64_t bytes = 0;
    size_t count = 0;
    tc_table_begin(&t, 7, 1u << 2 | 1u << 3 | 1u << 5);
    for (size_t i = 0; i < 7; i++)
        tc_table_cell(&t, heads[i]);
    for (size_t i = 0; i < c->count; i++) {
        if (!is_wanted(&c->item[i], globs))
            continue;
        add_row(&t, &c->item[i], now);
        bytes += c->item[i].bytes;
        count++;
    }
    if (count)
        tc_table_print(&t, stdout);
    tc_table_free(&t);
    printf("%s%zu %s, %s%s\n", tc_style(stdout, TC_DIM), count, count == 1 ? "record" : "records",
           tc_units_bytes(bytes, text), tc_style(stdout, TC_PLAIN));
}

static void json_item(struct tc_json *j, const struct tc_item *item, int64_t now)
{
    char key[33];
    tc_key_hex(&item->head, key);
    tc_json_object(j, NULL);
    tc_json_text(j, "key", key);
    tc_json_text(j, "task", item->identity);
    tc_json_u64(j, "bytes", item->bytes);
    tc_json_i64(j, "created_ns", item->head.created_ns);
    if (item->head.expires_ns == TC_NEVER)
        tc_json_null(j, "expires_ns");
    else
        tc_json_i64(j, "expires_ns", item->head.expires_ns);
    tc_json_bool(j, "expired", !tc_record_live(&item->head, now));
    tc_json_i64(j, "duration_ns", item->head.duration_ns);
    tc_json_text(j, "program", *item->program ? item->program : NULL);
    tc_json_u64(j, "pid", item->pid);
    tc_json_close_object(j);
}

static void print_json(const struct tc_catalog *c, const struct tc_words *globs)
{
    struct tc_json j;
    int64_t now = tc_now_ns();
    tc_json_begin(&j, stdout);
    tc_json_array(&j, NULL);
    for (size_t i = 0; i < c->count; i++)
        if (is_wanted(&c->item[i], globs))
            json_item(&j, &c->item[i], now);
    tc_json_close_array(&j);
    tc_json_end(&j);
}

static int list(const struct tc_session *session, const struct tc_parsed *parsed)
{
    struct tc_reader reader = {0};
    struct tc_catalog catalog = {0};
    int e = tc_catalog_open(session, &reader, &catalog);
    if (e >= 0 && catalog.count)
        qsort(catalog.item, catalog.count, sizeof *catalog.item, by_age);
    if (e >= 0 && parsed->common.json)
        print_json(&catalog, &parsed->words);
    else if (e == 1)
        printf("nothing is cached yet in %s\n", session->cache);
    else if (e == 0)
        print_table(&catalog, &parsed->words);
    if (catalog.damaged)
        fprintf(stderr, "cachectl: %llu records can't be read; see `cachectl verify`\n",
                (unsigned long long)catalog.damaged);
    tc_catalog_free(&catalog);
    tc_reader_close(&reader);
    return e < 0 ? TC_EXIT_USAGE : TC_EXIT_DONE;
}

static int run_ls(const struct tc_command *self, int argc, char **argv)
{
    TC_CLEANUP(tc_parsed_free) struct tc_parsed parsed;
    struct tc_session session;
    int status;
    if (!tc_options_parse(self, NULL, TC_OPTIONS_ANYWHERE, argc, argv, &parsed, &status))
        return status;
    status = TC_EXIT_USAGE;
    if (tc_session_inspect(&session, parsed.common.config, parsed.common.storage, TC_WANT_FAR)) {
        /* Once connected, all that targets have sent is stored. */
        (void)tc_session_connect(&session);
        status = session.far ? tc_far_ls(&session, &parsed) : list(&session, &parsed);
    }
    tc_session_close(&session);
    return status;
}

const struct tc_command tc_command_ls = {
    .storage = true,
    .name = "ls",
    .summary = "List the stored results",
    .usage = "ls [OPTION...] [TASK-GLOB...]",
    .help = "  TASK-GLOB                  those of these tasks: 'simul*@libsolver*', 'simulate'\n",
    .run = run_ls,
};
