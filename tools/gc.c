/* cachectl gc: expired records go, and the least valuable ones above the limit. */
#include <stdio.h>
#include <string.h>

#include "tools/catalog.h"
#include "tools/json.h"
#include "tools/options.h"
#include "tools/units.h"

#define GC_MS 600000

static void report(bool json, const char *word, uint64_t count, bool dry_run)
{
    struct tc_json j;
    if (!json) {
        printf("%s %llu %s\n", word, (unsigned long long)count, count == 1 ? "record" : "records");
        return;
    }
    tc_json_begin(&j, stdout);
    tc_json_object(&j, NULL);
    tc_json_u64(&j, "removed", dry_run ? 0 : count);
    if (dry_run)
        tc_json_u64(&j, "expired", count);
    tc_json_bool(&j, "dry_run", dry_run);
    tc_json_close_object(&j);
    tc_json_end(&j);
}

/* What is above the limit is chosen by chance: only what has expired can be told beforehand. */
static int dry_run(const struct tc_session *s, bool json)
{
    struct tc_reader reader = {0};
    struct tc_catalog catalog = {0};
    uint64_t expired = 0;
    int64_t now = tc_now_ns();
    int e = tc_catalog_open(s, &reader, &catalog);
    for (size_t i = 0; i < catalog.count; i++)
        expired += !tc_record_live(&catalog.item[i].head, now);
    if (e >= 0)
        report(json, "would remove", expired, true);
    tc_catalog_free(&catalog);
    tc_reader_close(&reader);
    return e < 0 ? TC_EXIT_USAGE : TC_EXIT_DONE;
}

static int collect(struct tc_session *s, bool json)
{
    struct tc_message m;
    struct tc_reply reply = {0};
    struct tc_cause cause;
    int e = tc_session_ensure_service(s, &cause);
    if (e == 0) {
        e = tc_client_request(&s->client, &m, TC_MSG_GC, sizeof m, GC_MS, &reply);
        if (e < 0)
            (void)tc_cause_set(&cause, -e, TC_R_SERVICE_FAILED, s->cache,
                               "the service didn't finish: %s", strerror(-e));
    }
    if (e < 0) {
        tc_problem(&cause);
        return TC_EXIT_USAGE;
    }
    report(json, "removed", reply.value, false);
    return TC_EXIT_DONE;
}

static int run_gc(const struct tc_command *self, int argc, char **argv)
{
    bool dry = false;
    const struct tc_option options[] = {{'n', "dry-run", TC_OPTION_FLAG, &dry},
                                        {0, NULL, TC_OPTION_FLAG, NULL}};
    TC_CLEANUP(tc_parsed_free) struct tc_parsed parsed;
    struct tc_session session;
    int status;
    if (!tc_options_parse(self, options, TC_OPTIONS_ANYWHERE, argc, argv, &parsed, &status))
        return status;
    if (parsed.words.count)
        return tc_usage(self, "it takes no arguments");
    status = TC_EXIT_USAGE;
    if (tc_session_inspect(&session, parsed.common.config, parsed.common.storage, 0)) {
        if (!*session.id)
            report(parsed.common.json, "removed", 0, dry);
        status = !*session.id ? TC_EXIT_DONE
                 : dry        ? dry_run(&session, parsed.common.json)
                              : collect(&session, parsed.common.json);
    }
    tc_session_close(&session);
    return status;
}

const struct tc_command tc_command_gc = {
    .storage = true,
    .name = "gc",
    .summary = "Remove what has expired, and what is above the size limit",
    .usage = "gc [OPTION...]",
    .help = "  -n, --dry-run              only say how much has expired\n",
    .run = run_gc,
};
