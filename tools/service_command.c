/* cachectl service: its state, and its end. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cache/other_service.h"
#include "tools/json.h"
#include "tools/options.h"
#include "tools/output.h"
#include "tools/service_stop.h"

/* One of another version. */
static pid_t other_service(const struct tc_session *s)
{
    return *s->id ? tc_other_service(s->runtime, s->id) : 0;
}

static int status_of(struct tc_session *s, bool json)
{
    struct tc_message m;
    struct tc_reply reply = {0};
    struct tc_json j;
    int e = tc_session_connect(s);
    if (e == 0)
        e = tc_client_request(&s->client, &m, TC_MSG_PING, sizeof m, 2000, &reply);
    if (json) {
        tc_json_begin(&j, stdout);
        tc_json_object(&j, NULL);
        tc_json_bool(&j, "running", e == 0);
        pid_t other = e < 0 ? other_service(s) : 0;
        if (e == 0 || other > 0)
            tc_json_u64(&j, "pid", other > 0 ? (uint64_t)other : reply.value);
        else
            tc_json_null(&j, "pid");
        tc_json_bool(&j, "other_version", other > 0);
        tc_json_text(&j, "cache", s->cache);
        tc_json_close_object(&j);
        tc_json_end(&j);
    } else if (e == 0) {
        printf("running, pid %llu, %s\n", (unsigned long long)reply.value, s->cache);
    } else {
        pid_t other = other_service(s);
        if (other > 0)
            printf("running in another version, pid %ld, %s\n", (long)other, s->cache);
        else if (e == -ENOENT || e == -ECONNREFUSED)
            printf("not running, %s\n", s->cache);
        else
            printf("it doesn't answer (%s), %s\n", strerror(-e), s->cache);
    }
    return e == 0 ? TC_EXIT_DONE : TC_EXIT_FOUND;
}

static int stop(struct tc_session *s, bool json)
{
    struct tc_cause cause;
    struct tc_json j;
    int r = tc_service_stop(s, &cause);
    if (r < 0)
        tc_problem(&cause);
    if (json) {
        tc_json_begin(&j, stdout);
        tc_json_object(&j, NULL);
        tc_json_bool(&j, "stopped", r == 1);
        tc_json_text(&j, "cache", s->cache);
        tc_json_close_object(&j);
        tc_json_end(&j);
    } else if (r >= 0) {
        puts(r == 1 ? "stopped" : "not running");
    }
    return r < 0 ? TC_EXIT_USAGE : TC_EXIT_DONE;
}

static int run_service(const struct tc_command *self, int argc, char **argv)
{
    TC_CLEANUP(tc_parsed_free) struct tc_parsed parsed;
    struct tc_session session;
    int status;
    if (!tc_options_parse(self, NULL, TC_OPTIONS_ANYWHERE, argc, argv, &parsed, &status))
        return status;
    const char *what = parsed.words.count == 1 ? parsed.words.word[0] : "";
    if (strcmp(what, "status") != 0 && strcmp(what, "stop") != 0)
        return tc_usage(self, "status or stop?");
    status = TC_EXIT_USAGE;
    if (tc_session_inspect(&session, parsed.common.config, parsed.common.storage, 0))
        status = strcmp(what, "stop") == 0 ? stop(&session, parsed.common.json)
                                           : status_of(&session, parsed.common.json);
    tc_session_close(&session);
    return status;
}

const struct tc_command tc_command_service = {
    .storage = true,
    .name = "service",
    .summary = "Ask the service for its state, or end it",
    .usage = "service status|stop",
    .help = "",
    .run = run_service,
};
