/* cachectl rm: removes stored results. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/catalog.h"
#include "tools/far_commands.h"
#include "tools/json.h"
#include "tools/options.h"
#include "tools/remove.h"
#include "tools/units.h"

struct rm {
    struct tc_parsed parsed;
    bool expired, all, dry_run;
    const char *older_than;
    int64_t older_ns; /* created before this */
    struct tc_keys keys;
    uint64_t bytes, far_removed; /* far_removed: from storages behind the cache */
};

/* One word is a task's glob if any task fits it, else the beginning of a key. */
static int pick_by_word(const struct tc_catalog *c, const char *word, bool *picked)
{
    const struct tc_item *item;
    bool any = false;
    for (size_t i = 0; i < c->count; i++) {
        if (tc_task_matches(word, c->item[i].identity))
            any = picked[i] = true;
    }
    if (any || !tc_is_key_prefix(word))
        return 0;
    int e = tc_catalog_find(c, word, &item);
    if (e == 0)
        picked[item - c->item] = true;
    return e == -ENOENT ? 0 : e;
}

static int pick(struct rm *rm, const struct tc_catalog *c, bool *picked)
{
    int64_t now = tc_now_ns();
    bool words = rm->parsed.words.count;
    for (size_t i = 0; i < rm->parsed.words.count; i++)
        if (pick_by_word(c, rm->parsed.words.word[i], picked) < 0)
            return -EINVAL;
    /* Conditions narrow what the words name; without words, everything. */
    for (size_t i = 0; i < c->count; i++) {
        picked[i] |= !words;
        if (rm->expired)
            picked[i] &= !tc_record_live(&c->item[i].head, now);
        if (rm->older_than)
            picked[i] &= c->item[i].head.created_ns < now - rm->older_ns;
    }
    return 0;
}

static void report(const struct rm *rm, uint64_t count)
{
    char text[TC_UNITS_BYTES];
    struct tc_json j;
    if (!rm->parsed.common.json) {
        printf("%s %llu %s, %s\n", rm->dry_run ? "would remove" : "removed",
               (unsigned long long)count, count == 1 ? "record" : "records",
               tc_units_bytes(rm->bytes, text));
        if (rm->far_removed)
            printf("removed %llu from far storages\n", (unsigned long long)rm->far_removed);
        return;
    }
    tc_json_begin(&j, stdout);
    tc_json_object(&j, NULL);
    tc_json_u64(&j, "removed", rm->dry_run ? 0 : count);
    tc_json_u64(&j, "bytes", rm->bytes);
    tc_json_u64(&j, "far_removed", rm->far_removed);
    tc_json_bool(&j, "dry_run", rm->dry_run);
    tc_json_array(&j, "keys");
    for (size_t i = 0; i < rm->keys.count; i++)
        tc_json_text(&j, NULL, rm->keys.hex[i].text);
    tc_json_close_array(&j);
    tc_json_close_object(&j);
    tc_json_end(&j);
}

static void print_dry_run(const struct tc_item *item)
{
    char key[33];
    tc_key_hex(&item->head, key);
    printf("%.*s  %s\n", TC_KEY_SHOWN, key, item->identity);
}

/* Behind the cache first: a look-up that comes in between would bring it back from there. */
static int remove_behind(struct rm *rm, struct tc_session *session)
{
    struct tc_cause cause;
    if (!rm->keys.count || tc_session_ensure_service(session, &cause) < 0)
        return TC_EXIT_DONE; /* the cache's turn tells of it */
    int status = tc_far_rm_too(session, rm->keys.key, rm->keys.count, &rm->far_removed);
    /* An answer may still come to what wasn't answered in time. */
    if (status != TC_EXIT_DONE)
        tc_client_close(&session->client);
    return status;
}

static int remove_picked(struct rm *rm, struct tc_session *session, const struct tc_catalog *c,
                         const bool *picked)
{
    struct tc_cause cause;
    uint64_t removed;
    for (size_t i = 0; i < c->count; i++) {
        if (!picked[i])
            continue;
        tc_keys_add(&rm->keys, &c->item[i].head);
        rm->bytes += c->item[i].bytes;
        if (rm->dry_run && !rm->parsed.common.json)
            print_dry_run(&c->item[i]);
    }
    removed = rm->keys.count;
    bool everything = rm->all && !rm->parsed.words.count && !rm->older_than && !rm->expired;
    int status = TC_EXIT_DONE;
    if (!rm->dry_run)
        status = remove_behind(rm, session);
    if (!rm->dry_run && tc_remove_keys(session, &rm->keys, everything, &removed, &cause) < 0) {
        tc_problem(&cause);
        return TC_EXIT_USAGE;
    }
    report(rm, removed);
    return status;
}

static int remove_records(struct rm *rm, struct tc_session *session)
{
    struct tc_reader reader = {0};
    struct tc_catalog catalog = {0};
    int status = TC_EXIT_USAGE;
    (void)tc_session_connect(session);
    int e = tc_catalog_open(session, &reader, &catalog);
    bool *picked = tc_alloc(catalog.count * sizeof *picked);
    if (e == 1) {
        report(rm, 0);
        status = TC_EXIT_DONE;
    } else if (e == 0 && pick(rm, &catalog, picked) == 0) {
        status = remove_picked(rm, session, &catalog, picked);
    }
    free(picked);
    tc_catalog_free(&catalog);
    tc_reader_close(&reader);
    return status;
}

/* 0, or the status of a wrong usage. */
static int check_usage(const struct tc_command *self, struct rm *rm)
{
    bool words = rm->parsed.words.count;
    if (rm->older_than && tc_parse_duration(rm->older_than, &rm->older_ns) < 0)
        return tc_usage(self, "--older-than %s: write a duration such as 7d or 1h30m",
                        rm->older_than);
    if (!words && !rm->expired && !rm->older_than && !rm->all)
        return tc_usage(self, "which records? A task, a key, --expired, --older-than or --all");
    if (words && rm->all)
        return tc_usage(self, "--all goes without tasks and keys");
    return 0;
}

static int remove_far(const struct tc_command *self, struct rm *rm, struct tc_session *session)
{
    if (rm->expired || rm->older_than)
        return tc_usage(self, "of a far storage only keys are known: --expired and --older-than "
                              "go without it");
    return tc_far_rm(session, &rm->parsed, rm->dry_run);
}

static int run_rm(const struct tc_command *self, int argc, char **argv)
{
    struct rm rm = {0};
    const struct tc_option options[] = {{0, "expired", TC_OPTION_FLAG, &rm.expired},
                                        {0, "older-than", TC_OPTION_VALUE, &rm.older_than},
                                        {0, "all", TC_OPTION_FLAG, &rm.all},
                                        {'n', "dry-run", TC_OPTION_FLAG, &rm.dry_run},
                                        {0, NULL, TC_OPTION_FLAG, NULL}};
    TC_CLEANUP(tc_session_close) struct tc_session session = {.client.fd = -1};
    int status;
    if (tc_options_parse(self, options, TC_OPTIONS_ANYWHERE, argc, argv, &rm.parsed, &status)) {
        status = check_usage(self, &rm);
        if (status == 0 && !tc_session_inspect(&session, rm.parsed.common.config,
                                               rm.parsed.common.storage, TC_WANT_FAR))
            status = TC_EXIT_USAGE;
        else if (status == 0)
            status = session.far ? remove_far(self, &rm, &session) : remove_records(&rm, &session);
    }
    tc_keys_free(&rm.keys);
    tc_parsed_free(&rm.parsed);
    return status;
}

const struct tc_command tc_command_rm = {
    .storage = true,
    .name = "rm",
    .summary = "Remove stored results",
    .usage = "rm [OPTION...] [TASK-GLOB | KEY]...",
    .help = "  TASK-GLOB                  those of these tasks: 'simul*@libsolver*', 'simulate'\n"
            "  KEY                        the beginning of one key\n"
            "      --expired              only what has expired\n"
            "      --older-than DURATION  only what was stored longer ago: 7d, 1h30m\n"
            "      --all                  everything\n"
            "  -n, --dry-run              only say what would go\n",
    .run = run_rm,
};
