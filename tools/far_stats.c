/* cachectl stats: what became of requests to far storages and plugins' lock managers. */
#include <stdio.h>
#include <stdlib.h>

#include "tools/far_commands.h"
#include "tools/units.h"

static const char *const states[] = {
    [TC_FAR_AWAY] = "away", [TC_FAR_OPENING] = "opening", [TC_FAR_READY] = "ready"};

const char *tc_far_state(uint32_t state)
{
    return state <= TC_FAR_READY ? states[state] : "";
}

static void text_one(const struct tc_far_numbers *n)
{
    char since[TC_UNITS_BYTES], bytes[TC_UNITS_BYTES];
    bool locks = n->kind == TC_STORAGE_LOCKS;
    printf("%-18s %s: ", locks ? "Lock manager" : "Far storage", n->name);
    if (locks)
        printf("%llu granted, %llu busy", (unsigned long long)n->granted,
               (unsigned long long)n->busy);
    else
        printf("%llu found, %llu not there, %llu handed on, %llu removed, %llu lost",
               (unsigned long long)n->found, (unsigned long long)n->missed,
               (unsigned long long)n->handed_on, (unsigned long long)n->removed,
               (unsigned long long)n->lost);
    printf(", %llu errors, since %s; %s", (unsigned long long)n->errors,
           tc_units_time(n->since_ns, since), tc_far_state(n->state));
    if (!locks && n->waiting)
        printf("; %llu wait, %s", (unsigned long long)n->waiting,
               tc_units_bytes(n->waiting_bytes, bytes));
    putchar('\n');
    if (*n->trouble)
        printf("%-18s %s\n", "", n->trouble);
}

void tc_far_stats_text(struct tc_session *s)
{
    struct tc_far_numbers *list = NULL;
    size_t count = 0;
    if (tc_far_numbers(s, &list, &count) < 0)
        return;
    for (size_t i = 0; i < count; i++)
        text_one(&list[i]);
    free(list);
}

void tc_far_json(struct tc_json *j, const struct tc_far_numbers *n)
{
    tc_json_text(j, "state", tc_far_state(n->state));
    tc_json_i64(j, "since_ns", n->since_ns);
    if (n->kind == TC_STORAGE_LOCKS) {
        tc_json_u64(j, "granted", n->granted);
        tc_json_u64(j, "busy", n->busy);
    } else {
        tc_json_u64(j, "found", n->found);
        tc_json_u64(j, "missed", n->missed);
        tc_json_u64(j, "handed_on", n->handed_on);
        tc_json_u64(j, "removed", n->removed);
        tc_json_u64(j, "lost", n->lost);
        tc_json_u64(j, "waiting", n->waiting);
        tc_json_u64(j, "waiting_bytes", n->waiting_bytes);
    }
    tc_json_u64(j, "errors", n->errors);
    tc_json_u64(j, "failures", n->failures);
    tc_json_text(j, "trouble", *n->trouble ? n->trouble : NULL);
}

void tc_far_stats_json(struct tc_session *s, struct tc_json *j)
{
    struct tc_far_numbers *list = NULL;
    size_t count = 0;
    (void)tc_far_numbers(s, &list, &count);
    tc_json_array(j, "far");
    for (size_t i = 0; i < count; i++) {
        tc_json_object(j, NULL);
        tc_json_text(j, "name", list[i].name);
        tc_json_text(j, "kind", list[i].kind == TC_STORAGE_LOCKS ? "lock manager" : "storage");
        tc_far_json(j, &list[i]);
        tc_json_close_object(j);
    }
    tc_json_close_array(j);
    free(list);
}
