/* cachectl ls --storage FAR: the keys that a far storage has, and what the cache knows of them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/far_commands.h"
#include "tools/json.h"
#include "tools/units.h"

const struct tc_item *tc_far_item(const struct tc_catalog *c, struct tc_key key)
{
    size_t from = 0, to = c->count; /* sorted by the key's low half */
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (c->item[middle].head.key_low < key.low)
            from = middle + 1;
        else
            to = middle;
    }
    return from < c->count && c->item[from].head.key_low == key.low &&
                   c->item[from].head.key_high == key.high
               ? &c->item[from]
               : NULL;
}

bool tc_far_fits(const struct tc_item *item, struct tc_key key, const struct tc_words *words)
{
    const struct tc_record head = {.key_low = key.low, .key_high = key.high};
    for (size_t i = 0; i < words->count; i++) {
        if (item && tc_task_matches(words->word[i], item->identity))
            return true;
        if (tc_is_key_prefix(words->word[i]) && tc_key_has_prefix(&head, words->word[i]))
            return true;
    }
    return words->count == 0;
}

static bool has_key(const struct tc_far_view *v, struct tc_key key)
{
    for (size_t i = 0; i < v->count; i++)
        if (v->key[i].low == key.low && v->key[i].high == key.high)
            return true;
    return false;
}

/* Of whole keys, those that are there. -ENOTSUP: the words are others, or it can't be asked. */
static int ask_for(struct tc_session *s, const struct tc_words *words, struct tc_far_view *v)
{
    struct tc_key key;
    for (size_t i = 0; i < words->count; i++)
        if (!tc_is_key(words->word[i], &key))
            return -ENOTSUP;
    if (words->count == 0)
        return -ENOTSUP;
    v->key = tc_alloc(words->count * sizeof *v->key);
    for (size_t i = 0; i < words->count; i++) {
        (void)tc_is_key(words->word[i], &key);
        int e = has_key(v, key) ? -ENOENT : tc_far_exists(s, v->remote, key);
        if (e < 0 && e != -ENOENT)
            return e;
        if (e == 0)
            v->key[v->count++] = key;
    }
    return 0;
}

static int find_keys(struct tc_session *s, const struct tc_words *words, struct tc_far_view *v)
{
    int e = ask_for(s, words, v);
    if (e != -ENOTSUP)
        return e;
    free(v->key);
    v->key = NULL;
    v->count = 0;
    return tc_far_list(s, v->remote, &v->key, &v->count);
}

int tc_far_open(struct tc_session *s, const struct tc_words *words, struct tc_far_view *ret)
{
    struct tc_cause cause;
    const char *name = tc_flat_str(&s->config_flat, s->far->name);
    *ret = (struct tc_far_view){.remote = s->far->remote, .name = name};
    int e = tc_session_ensure_service(s, &cause);
    if (e < 0) {
        tc_problem(&cause);
        return e;
    }
    if (!s->far->used)
        e = tc_cause_set(&cause, ENODEV, TC_R_FAR_STORAGE, name, "no task of the config uses it");
    tc_far_greet(s);
    if (e == 0)
        e = find_keys(s, words, ret);
    if (e < 0 && s->far->used)
        (void)tc_far_cause(e, name, &cause);
    if (e < 0) {
        tc_problem(&cause);
        return e;
    }
    /* What the cache knows is an addition. */
    (void)tc_catalog_open(s, &ret->reader, &ret->catalog);
    return 0;
}

void tc_far_close(struct tc_far_view *v)
{
    free(v->key);
    tc_catalog_free(&v->catalog);
    tc_reader_close(&v->reader);
}

static void print_text(const struct tc_far_view *v, const struct tc_words *words)
{
    struct tc_table t;
    size_t count = 0;
    tc_table_begin(&t, 2, 0);
    tc_table_cell(&t, "KEY");
    tc_table_cell(&t, "TASK");
    for (size_t i = 0; i < v->count; i++) {
        const struct tc_item *item = tc_far_item(&v->catalog, v->key[i]);
        const struct tc_record head = {.key_low = v->key[i].low, .key_high = v->key[i].high};
        char hex[33];
        if (!tc_far_fits(item, v->key[i], words))
            continue;
        tc_key_hex(&head, hex);
        tc_table_cellf(&t, "%.*s", TC_KEY_SHOWN, hex);
        tc_table_cell(&t, item ? item->identity : "(not in this cache)");
        count++;
    }
    if (count)
        tc_table_print(&t, stdout);
    tc_table_free(&t);
    printf("%s%zu %s in %s%s\n", tc_style(stdout, TC_DIM), count, count == 1 ? "record" : "records",
           v->name, tc_style(stdout, TC_PLAIN));
}

static void print_json(const struct tc_far_view *v, const struct tc_words *words)
{
    struct tc_json j;
    tc_json_begin(&j, stdout);
    tc_json_array(&j, NULL);
    for (size_t i = 0; i < v->count; i++) {
        const struct tc_item *item = tc_far_item(&v->catalog, v->key[i]);
        const struct tc_record head = {.key_low = v->key[i].low, .key_high = v->key[i].high};
        char hex[33];
        if (!tc_far_fits(item, v->key[i], words))
            continue;
        tc_key_hex(&head, hex);
        tc_json_object(&j, NULL);
        tc_json_text(&j, "key", hex);
        tc_json_text(&j, "task", item ? item->identity : NULL);
        tc_json_bool(&j, "in_cache", item != NULL);
        tc_json_close_object(&j);
    }
    tc_json_close_array(&j);
    tc_json_end(&j);
}

int tc_far_ls(struct tc_session *s, const struct tc_parsed *parsed)
{
    struct tc_far_view v;
    int e = tc_far_open(s, &parsed->words, &v);
    if (e == 0 && parsed->common.json)
        print_json(&v, &parsed->words);
    else if (e == 0)
        print_text(&v, &parsed->words);
    tc_far_close(&v);
    return e < 0 ? TC_EXIT_USAGE : TC_EXIT_DONE;
}
