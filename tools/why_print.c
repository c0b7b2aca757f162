#include "tools/why_print.h"

#include "tools/component_text.h"
#include "tools/source_change.h"
#include "tools/units.h"

static struct tc_component_facts facts_of(const struct tc_known_material *m,
                                          const struct tc_component *c,
                                          const struct tc_why_facts *facts)
{
    struct tc_component_facts f = {.elem = TC_VOID};
    const struct tc_param *p =
        facts->prototype && c->name
            ? tc_shown_param_named(facts->prototype, c->name, c->head.name_bytes)
            : NULL;
    if (p) {
        f.elem = p->layout ? TC_VOID : p->elem;
        f.is_char = p->is_char;
    }
    f.beginning = tc_known_beginning(m, c, &f.beginning_bytes);
    return f;
}

struct texts {
    struct tc_text name, change, was, is;
};

static void free_texts(struct texts *t)
{
    tc_text_free(&t->name);
    tc_text_free(&t->change);
    tc_text_free(&t->was);
    tc_text_free(&t->is);
}

static struct texts texts_of(const struct tc_difference *d, const struct tc_known_material *was,
                             const struct tc_known_material *is, const struct tc_why_facts *facts)
{
    struct tc_component_facts a = facts_of(was, &d->was, facts);
    struct tc_component_facts b = facts_of(is, &d->is, facts);
    struct texts t = {{0}, {0}, {0}, {0}};
    tc_component_name(&t.name, d->name, d->name_bytes);
    tc_difference_text(&t.change, d, &a, &b);
    tc_component_text(&t.was, &d->was, &a);
    tc_component_text(&t.is, &d->is, &b);
    return t;
}

/* What changed of the source, as far as its trees are kept. */
static void source_changes(const struct tc_difference *d, const char *cache,
                           struct tc_source_changes *ret)
{
    if (!d->was.name || !d->is.name || d->was.head.form != 0 || d->is.head.form != 0)
        return;
    if (tc_is_named(d, "=source") && d->was.head.content_bytes == 16 &&
        d->is.head.content_bytes == 16)
        tc_source_changes_find(cache, d->was.content, d->is.content, ret);
    else if (tc_is_named(d, "=deep"))
        tc_deep_changes_find(cache, d->was.content, (size_t)d->was.head.content_bytes,
                             d->is.content, (size_t)d->is.head.content_bytes, ret);
}

static void print_source_changes(const struct tc_difference *d, const char *cache)
{
    struct tc_source_changes changes = {0};
    source_changes(d, cache, &changes);
    for (size_t i = 0; i < changes.count; i++) {
        struct tc_text t = {0};
        tc_source_change_text(&t, &changes.change[i]);
        printf("                 %s\n", t.data);
        tc_text_free(&t);
    }
    tc_source_changes_free(&changes);
}

static void json_source_changes(struct tc_json *j, const struct tc_difference *d, const char *cache)
{
    struct tc_source_changes changes = {0};
    source_changes(d, cache, &changes);
    if (changes.count)
        tc_json_array(j, "parts");
    for (size_t i = 0; i < changes.count; i++) {
        tc_json_object(j, NULL);
        tc_json_text(j, "part", changes.change[i].label);
        if (changes.change[i].is_object)
            tc_json_bool(j, "is_library", true);
        tc_json_text(j, "change", tc_part_change_name(changes.change[i].change));
        tc_json_close_object(j);
    }
    if (changes.count)
        tc_json_close_array(j);
    tc_source_changes_free(&changes);
}

void tc_why_print_differences(const struct tc_known_material *was,
                              const struct tc_known_material *is, const struct tc_why_facts *facts)
{
    struct tc_comparison c = tc_compare(tc_known_view(was), tc_known_view(is));
    struct tc_difference d;
    while (tc_compare_next(&c, &d)) {
        TC_CLEANUP(free_texts) struct texts t = texts_of(&d, was, is, facts);
        printf("    %-12s %s\n", t.name.data, t.change.data);
        print_source_changes(&d, facts->cache);
    }
}

void tc_why_json_differences(struct tc_json *j, const struct tc_known_material *was,
                             const struct tc_known_material *is, const struct tc_why_facts *facts)
{
    struct tc_comparison c = tc_compare(tc_known_view(was), tc_known_view(is));
    struct tc_difference d;
    tc_json_array(j, "differs");
    while (tc_compare_next(&c, &d)) {
        TC_CLEANUP(free_texts) struct texts t = texts_of(&d, was, is, facts);
        tc_json_object(j, NULL);
        tc_json_textn(j, "name", d.name, d.name_bytes);
        tc_json_text(j, "was", d.was.name ? t.was.data : NULL);
        tc_json_text(j, "now", d.is.name ? t.is.data : NULL);
        json_source_changes(j, &d, facts->cache);
        tc_json_close_object(j);
    }
    tc_json_close_array(j);
}

static void key_text(uint64_t low, uint64_t high, char ret[33])
{
    struct tc_record head = {.key_low = low, .key_high = high};
    tc_key_hex(&head, ret);
}

static bool has_key(const struct tc_known_miss *m)
{
    return m->key_low != 0 || m->key_high != 0;
}

static bool shows_nearest(enum tc_why why)
{
    return why == TC_WHY_INPUT || why == TC_WHY_SOURCE || why == TC_WHY_ANOTHER_RUN;
}

static void print_head(const struct tc_known_miss *m)
{
    char key[33] = "-", age[TC_UNITS_BYTES];
    if (has_key(m))
        key_text(m->key_low, m->key_high, key);
    printf("  %s%-*.*s%s  %s ago", tc_style(stdout, TC_BOLD), TC_KEY_SHOWN, TC_KEY_SHOWN, key,
           tc_style(stdout, TC_PLAIN), tc_units_duration(tc_now_ns() - m->when_ns, age));
    if (*m->program)
        printf(", in %s (pid %u)", m->program, m->pid);
    putchar('\n');
}

static void print_try(const char *remedy)
{
    if (*remedy)
        printf("    %stry: %s%s\n", tc_style(stdout, TC_DIM), remedy, tc_style(stdout, TC_PLAIN));
}

static void print_why(const struct tc_known_miss *m, enum tc_why why,
                      const struct tc_why_facts *facts)
{
    const struct tc_why_words *w = tc_why_words(why);
    int64_t before = tc_why_before_ns(m, why);
    char text[TC_UNITS_BYTES], key[33];
    printf("    %s: %s", w->id, w->sentence);
    if (before >= 0)
        printf(", %s before", tc_units_duration(before, text));
    if (shows_nearest(why)) {
        key_text(m->nearest.key_low, m->nearest.key_high, key);
        printf("; the nearest is %.*s", TC_KEY_SHOWN, key);
    }
    putchar('\n');
    if (shows_nearest(why))
        tc_why_print_differences(&m->nearest_material, &m->material, facts);
    print_try(w->remedy);
}

static void print_reason(uint32_t reason, const char *what)
{
    const struct tc_reason_info *info = tc_reason_info(reason);
    printf("    %s%s: %s\n", what, info->id, info->sentence);
    print_try(info->remedy);
}

void tc_why_print(const struct tc_known_miss *m, const struct tc_why_facts *facts)
{
    enum tc_why why = tc_explain(m);
    print_head(m);
    if (why != TC_WHY_BYPASSED)
        print_why(m, why, facts);
    if (why == TC_WHY_NOT_STORED_BEFORE && !m->reason)
        print_reason(m->earlier->reason, "it was ");
    if (m->text)
        printf(m->wrong_id ? "    %s\n" : "    parameter '%s'\n", m->text);
    if (m->reason && !m->wrong_id)
        print_reason(m->reason, why == TC_WHY_BYPASSED ? "" : "nothing was stored: ");
}

static void json_nearest(struct tc_json *j, const struct tc_known_miss *m, enum tc_why why,
                         const struct tc_why_facts *facts)
{
    char key[33];
    if (!shows_nearest(why)) {
        tc_json_null(j, "nearest");
        tc_json_array(j, "differs");
        tc_json_close_array(j);
        return;
    }
    key_text(m->nearest.key_low, m->nearest.key_high, key);
    tc_json_text(j, "nearest", key);
    tc_why_json_differences(j, &m->nearest_material, &m->material, facts);
}

void tc_why_json(struct tc_json *j, const struct tc_known_miss *m, const struct tc_why_facts *facts)
{
    enum tc_why why = tc_explain(m);
    int64_t before = tc_why_before_ns(m, why);
    char key[33];
    key_text(m->key_low, m->key_high, key);
    tc_json_object(j, NULL);
    tc_json_text(j, "key", has_key(m) ? key : NULL);
    tc_json_i64(j, "when_ns", m->when_ns);
    tc_json_text(j, "program", *m->program ? m->program : NULL);
    tc_json_u64(j, "pid", m->pid);
    tc_json_text(j, "why", tc_why_words(why)->id);
    tc_json_text(j, "sentence", tc_why_words(why)->sentence);
    tc_json_text(j, "try", *tc_why_words(why)->remedy ? tc_why_words(why)->remedy : NULL);
    if (before >= 0)
        tc_json_i64(j, "before_ns", before);
    tc_json_bool(j, "stored", m->reason == 0);
    tc_json_text(j, "reason", m->reason ? tc_reason_info(m->reason)->id : NULL);
    tc_json_text(j, "detail", m->text);
    json_nearest(j, m, why, facts);
    tc_json_close_object(j);
}

void tc_why_print_bypasses(const struct tc_task_sums *t)
{
    for (unsigned i = 0; i < TC_PAGE_REASONS; i++) {
        const struct tc_reason_info *info = tc_reason_info(i);
        if (!t->bypass[i])
            continue;
        printf("  %llu %s %s: %s\n", (unsigned long long)t->bypass[i],
               t->bypass[i] == 1 ? "call" : "calls", info->id, info->sentence);
        print_try(info->remedy);
    }
}
