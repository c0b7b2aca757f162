/* cachectl rm, of far storages. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/far_commands.h"
#include "tools/json.h"
#include "tools/output.h"

static void report(const struct tc_parsed *parsed, const char *name, bool dry_run, size_t picked,
                   uint64_t removed)
{
    struct tc_json j;
    uint64_t count = dry_run ? picked : removed;
    if (!parsed->common.json) {
        printf("%s %llu %s from %s\n", dry_run ? "would remove" : "removed",
               (unsigned long long)count, count == 1 ? "record" : "records", name);
        return;
    }
    tc_json_begin(&j, stdout);
    tc_json_object(&j, NULL);
    tc_json_text(&j, "storage", name);
    tc_json_u64(&j, "picked", picked);
    tc_json_u64(&j, "removed", dry_run ? 0 : removed);
    tc_json_bool(&j, "dry_run", dry_run);
    tc_json_close_object(&j);
    tc_json_end(&j);
}

int tc_far_rm(struct tc_session *s, const struct tc_parsed *parsed, bool dry_run)
{
    struct tc_far_view v;
    struct tc_cause cause;
    uint64_t removed = 0;
    size_t picked = 0;
    int e = tc_far_open(s, &parsed->words, &v), status = e < 0 ? TC_EXIT_USAGE : TC_EXIT_DONE;
    for (size_t i = 0; i < v.count; i++)
        if (tc_far_fits(tc_far_item(&v.catalog, v.key[i]), v.key[i], &parsed->words))
            v.key[picked++] = v.key[i];
    if (e == 0 && !dry_run)
        e = tc_far_remove_all(s, v.remote, v.key, picked, &removed);
    if (e < 0 && status == TC_EXIT_DONE) {
        (void)tc_far_cause(e, v.name, &cause);
        tc_problem(&cause);
        status = TC_EXIT_FOUND;
    }
    if (status != TC_EXIT_USAGE)
        report(parsed, v.name, dry_run, picked, removed);
    tc_far_close(&v);
    return status;
}

int tc_far_rm_too(struct tc_session *s, const struct tc_key *key, size_t count,
                  uint64_t *ret_removed)
{
    struct tc_far_numbers *list = NULL;
    size_t storages = 0;
    int status = TC_EXIT_DONE;
    *ret_removed = 0;
    tc_far_greet(s);
    if (count == 0 || tc_far_numbers(s, &list, &storages) < 0)
        return status;
    for (size_t i = 0; i < storages; i++) {
        struct tc_cause cause;
        uint64_t removed;
        if (list[i].kind != TC_STORAGE_FAR)
            continue;
        int e = tc_far_remove_all(s, list[i].remote, key, count, &removed);
        *ret_removed += removed;
        if (e == 0)
            continue;
        (void)tc_far_cause(e, list[i].name, &cause);
        tc_problem(&cause);
        status = TC_EXIT_FOUND;
    }
    free(list);
    return status;
}
