#include "tools/catalog.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cache/hash.h"
#include "tools/output.h"

#define CANDIDATES_SHOWN 10

static const char *intern(struct tc_catalog *c, const char *identity, size_t bytes)
{
    /* Neighbours are seldom of one task, but tasks are few. */
    for (size_t i = 0; i < c->identity_count; i++)
        if (strlen(c->identity[i]) == bytes && memcmp(c->identity[i], identity, bytes) == 0)
            return c->identity[i];
    c->identity =
        tc_grow(c->identity, c->identity_count, &c->identity_allocated, sizeof *c->identity);
    return c->identity[c->identity_count++] = tc_copyn(identity, bytes);
}

static void restart(void *ctx)
{
    struct tc_catalog *c = ctx;
    c->count = 0;
    c->damaged = 0;
}

static int take_record(void *ctx, struct tc_reader *r, const struct tc_lmdb_entry *e)
{
    (void)r;
    struct tc_catalog *c = ctx;
    struct tc_record_view view;
    if (tc_record_decode_draft(e->data, e->bytes, &view) < 0) {
        c->damaged++;
        return 0;
    }
    c->item = tc_grow(c->item, c->count, &c->allocated, sizeof *c->item);
    c->item[c->count++] = (struct tc_item){
        .head = view.head,
        .identity = intern(c, view.identity, view.head.identity_bytes),
        .bytes = e->bytes + (view.head.chunk_count ? view.head.output_bytes : 0),
    };
    return 0;
}

static int by_key(const void *key, const void *item)
{
    uint64_t a = *(const uint64_t *)key, b = ((const struct tc_item *)item)->head.key_low;
    return a < b ? -1 : a > b;
}

static void forget_details(void *ctx)
{
    (void)ctx;
}

static int take_details(void *ctx, struct tc_reader *r, const struct tc_lmdb_entry *e)
{
    (void)r;
    struct tc_catalog *c = ctx;
    struct tc_details d = {0};
    uint64_t key;
    if (e->key_bytes != sizeof key)
        return 0;
    memcpy(&key, e->key, sizeof key);
    memcpy(&d, e->data, e->bytes < sizeof d ? e->bytes : sizeof d);
    struct tc_item *item =
        c->count ? bsearch(&key, c->item, c->count, sizeof *c->item, by_key) : NULL;
    if (!item || item->head.record_id != d.record_id)
        return 0;
    memcpy(item->program, d.program, sizeof d.program);
    item->pid = d.pid;
    if (d.bytes >= sizeof d) {
        item->found = d.found;
        item->expired_ns = d.expired_ns;
    }
    return 0;
}

int tc_catalog_read(struct tc_reader *r, struct tc_catalog *ret)
{
    const struct tc_walk records = {.restart = restart, .each = take_record, .ctx = ret};
    const struct tc_walk details = {.restart = forget_details, .each = take_details, .ctx = ret};
    int e = tc_reader_walk(r, "records", &records);
    if (e < 0)
        return e;
    ret->damaged += r->damaged;
    /* Who stored a record is nice to know, no more. */
    (void)tc_reader_walk(r, "details", &details);
    return 0;
}

void tc_catalog_free(struct tc_catalog *c)
{
    for (size_t i = 0; i < c->identity_count; i++)
        free(c->identity[i]);
    free(c->identity);
    free(c->item);
    *c = (struct tc_catalog){0};
}

void tc_key_hex(const struct tc_record *head, char ret[33])
{
    tc_hash_hex((struct tc_hash128){.low = head->key_low, .high = head->key_high}, ret);
}

bool tc_task_matches(const char *glob, const char *identity)
{
    if (fnmatch(glob, identity, 0) == 0)
        return true;
    if (strchr(glob, '@'))
        return false;
    const char *at = strrchr(identity, '@');
    TC_CLEANUP(tc_free_text)
    char *symbol = tc_copyn(identity, at ? (size_t)(at - identity) : strlen(identity));
    const char *colon = strrchr(symbol, ':');
    return fnmatch(glob, symbol, 0) == 0 || (colon && fnmatch(glob, colon + 1, 0) == 0);
}

bool tc_is_key_prefix(const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++)
        if (!isxdigit((unsigned char)text[i]))
            return false;
    return n >= 1 && n <= 32;
}

bool tc_is_key(const char *text, struct tc_key *ret)
{
    char half[17];
    if (!tc_is_key_prefix(text) || strlen(text) != 32)
        return false;
    memcpy(half, text, 16);
    half[16] = 0;
    *ret = (struct tc_key){.low = strtoull(text + 16, NULL, 16), .high = strtoull(half, NULL, 16)};
    return true;
}

bool tc_key_has_prefix(const struct tc_record *head, const char *prefix)
{
    char hex[33];
    tc_key_hex(head, hex);
    return strncasecmp(hex, prefix, strlen(prefix)) == 0;
}

static void list_candidates(const struct tc_catalog *c, const char *prefix, size_t count)
{
    size_t shown = 0;
    fprintf(stderr, "cachectl: %zu keys begin with %s:\n", count, prefix);
    for (size_t i = 0; i < c->count && shown < CANDIDATES_SHOWN; i++) {
        char hex[33];
        if (!tc_key_has_prefix(&c->item[i].head, prefix))
            continue;
        tc_key_hex(&c->item[i].head, hex);
        fprintf(stderr, "  %s  %s\n", hex, c->item[i].identity);
        shown++;
    }
    if (count > shown)
        fprintf(stderr, "  ... and %zu more\n", count - shown);
}

int tc_catalog_find(const struct tc_catalog *c, const char *prefix, const struct tc_item **ret)
{
    size_t count = 0;
    if (!tc_is_key_prefix(prefix))
        return -EINVAL;
    for (size_t i = 0; i < c->count; i++) {
        if (!tc_key_has_prefix(&c->item[i].head, prefix))
            continue;
        *ret = &c->item[i];
        count++;
    }
    if (count > 1)
        list_candidates(c, prefix, count);
    return count == 1 ? 0 : count ? -EMLINK : -ENOENT;
}

int tc_catalog_open(const struct tc_session *s, struct tc_reader *r, struct tc_catalog *ret)
{
    struct tc_cause cause = {.reason = 0};
    *ret = (struct tc_catalog){0};
    int e = tc_reader_open(r, s, &cause);
    if (e == -ENOENT && !cause.reason)
        return 1;
    if (e == 0) {
        e = tc_catalog_read(r, ret);
        if (e < 0)
            (void)tc_cause_set(&cause, -e, TC_R_NO_STORE, r->path,
                               e == -EAGAIN ? "the store changes too fast to be read at this moment"
                                            : "the store can't be read: %s",
                               strerror(-e));
    }
    if (e < 0) {
        tc_problem(&cause);
        tc_catalog_free(ret);
        tc_reader_close(r);
    }
    return e;
}
