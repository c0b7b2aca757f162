#include "tools/wrong.h"

#include <string.h>

#include "tools/units.h"

int tc_wrong_read(struct tc_reader *r, struct tc_known_misses *ret)
{
    struct tc_known_misses all = {0};
    int e = tc_misses_unstored(r, &all);
    /* In the order of time: a later one takes the place of the one before. */
    for (size_t i = 0; e == 0 && i < all.count; i++) {
        struct tc_known_miss *m = &all.miss[i];
        if (!m->wrong_id)
            continue;
        struct tc_known_miss *place =
            (struct tc_known_miss *)(uintptr_t)tc_wrong_of(ret, m->identity);
        if (!place) {
            ret->miss = tc_grow(ret->miss, ret->count, &ret->allocated, sizeof *ret->miss);
            place = &ret->miss[ret->count++];
            *place = (struct tc_known_miss){0};
        }
        struct tc_known_miss older = *place;
        *place = *m;
        *m = older; /* to be freed */
    }
    tc_misses_free(&all);
    return e;
}

const struct tc_known_miss *tc_wrong_of(const struct tc_known_misses *wrong, const char *identity)
{
    for (size_t i = 0; i < wrong->count; i++)
        if (strcmp(wrong->miss[i].identity, identity) == 0)
            return &wrong->miss[i];
    return NULL;
}

void tc_wrong_text(struct tc_text *to, const struct tc_known_miss *m)
{
    char age[TC_UNITS_BYTES];
    tc_text_add(to, "%s; %s ago", m->text ? m->text : "",
                tc_units_duration(tc_now_ns() - m->when_ns, age));
    if (*m->program)
        tc_text_add(to, ", in %s (pid %u)", m->program, m->pid);
}

void tc_wrong_print(const struct tc_known_misses *wrong, FILE *to)
{
    for (size_t i = 0; i < wrong->count; i++) {
        struct tc_text t = {0};
        tc_wrong_text(&t, &wrong->miss[i]);
        fprintf(to, "%s: %sverify-differs%s: %s\n", wrong->miss[i].identity, tc_style(to, TC_BAD),
                tc_style(to, TC_PLAIN), t.data);
        tc_text_free(&t);
    }
}

void tc_wrong_json(struct tc_json *j, const struct tc_known_misses *wrong)
{
    tc_json_array(j, "wrong");
    for (size_t i = 0; i < wrong->count; i++) {
        const struct tc_known_miss *m = &wrong->miss[i];
        struct tc_record head = {.key_low = m->key_low, .key_high = m->key_high};
        char key[33];
        tc_key_hex(&head, key);
        tc_json_object(j, NULL);
        tc_json_text(j, "task", m->identity);
        tc_json_text(j, "key", key);
        tc_json_i64(j, "when_ns", m->when_ns);
        tc_json_text(j, "detail", m->text);
        tc_json_text(j, "program", *m->program ? m->program : NULL);
        tc_json_u64(j, "pid", m->pid);
        tc_json_close_object(j);
    }
    tc_json_close_array(j);
}
