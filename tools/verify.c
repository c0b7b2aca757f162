/* cachectl verify: the checksums of all records and chunks. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/hash.h"
#include "tools/catalog.h"
#include "tools/far_commands.h"
#include "tools/json.h"
#include "tools/options.h"
#include "tools/remove.h"
#include "tools/units.h"

struct bad {
    struct tc_record head; /* of which only the key is sure */
    char why[64];
};

struct verify {
    struct bad *bad;
    size_t bad_count, bad_allocated;
    uint64_t records, chunks, bytes;
};

static void restart(void *ctx)
{
    struct verify *v = ctx;
    v->bad_count = 0;
    v->records = v->chunks = v->bytes = 0;
}

static void add_bad(struct verify *v, const struct tc_lmdb_entry *e, const char *why)
{
    struct bad bad = {0};
    v->bad = tc_grow(v->bad, v->bad_count, &v->bad_allocated, sizeof *v->bad);
    memcpy(&bad.head, e->data, e->bytes < sizeof bad.head ? e->bytes : sizeof bad.head);
    if (e->key_bytes == sizeof bad.head.key_low)
        memcpy(&bad.head.key_low, e->key, sizeof bad.head.key_low);
    (void)snprintf(bad.why, sizeof bad.why, "%s", why);
    v->bad[v->bad_count++] = bad;
}

/* NULL, or what is wrong with a record's chunks. */
static const char *check_chunks(struct verify *v, struct tc_reader *r, const struct tc_record *head)
{
    uint64_t bytes = 0, sum;
    for (uint32_t i = 0; i < head->chunk_count; i++) {
        const void *value;
        size_t n;
        if (tc_reader_peek(r, "chunks", head->chunk_first + i, &value, &n) < 0)
            return "a chunk is missing";
        if (n < sizeof sum)
            return "a chunk is too short";
        memcpy(&sum, value, sizeof sum);
        if (sum != tc_hash64((const char *)value + sizeof sum, n - sizeof sum))
            return "a chunk's checksum is wrong";
        bytes += n - sizeof sum;
        v->chunks++;
    }
    v->bytes += bytes;
    return head->chunk_count && bytes != head->output_bytes ? "the chunks' sizes don't add up"
                                                            : NULL;
}

static int check(void *ctx, struct tc_reader *r, const struct tc_lmdb_entry *e)
{
    struct verify *v = ctx;
    struct tc_record_view view;
    uint64_t key;
    const char *why = NULL;
    int d = tc_record_decode(e->data, e->bytes, &view);
    v->records++;
    v->bytes += e->bytes;
    if (d < 0)
        why = d == -EPROTONOSUPPORT ? "another version" : "the record's checksum or size is wrong";
    else if (e->key_bytes != sizeof key ||
             (memcpy(&key, e->key, sizeof key), key) != view.head.key_low)
        why = "it lies under another key";
    else
        why = check_chunks(v, r, &view.head);
    if (why)
        add_bad(v, e, why);
    return 0;
}

static void print_json(const struct verify *v, uint64_t lost, uint64_t removed)
{
    struct tc_json j;
    tc_json_begin(&j, stdout);
    tc_json_object(&j, NULL);
    tc_json_u64(&j, "records", v->records);
    tc_json_u64(&j, "chunks", v->chunks);
    tc_json_u64(&j, "bytes", v->bytes);
    tc_json_u64(&j, "unreadable", lost);
    tc_json_u64(&j, "removed", removed);
    tc_json_array(&j, "bad");
    for (size_t i = 0; i < v->bad_count; i++) {
        char key[33];
        tc_key_hex(&v->bad[i].head, key);
        tc_json_object(&j, NULL);
        tc_json_text(&j, "key", key);
        tc_json_text(&j, "problem", v->bad[i].why);
        tc_json_close_object(&j);
    }
    tc_json_close_array(&j);
    tc_json_close_object(&j);
    tc_json_end(&j);
}

static void print_text(const struct verify *v, uint64_t lost, uint64_t removed)
{
    char text[TC_UNITS_BYTES], key[33];
    for (size_t i = 0; i < v->bad_count; i++) {
        tc_key_hex(&v->bad[i].head, key);
        printf("%s  %s%s%s\n", key, tc_style(stdout, TC_BAD), v->bad[i].why,
               tc_style(stdout, TC_PLAIN));
    }
    if (lost)
        printf("%llu entries of the data file can't be read\n", (unsigned long long)lost);
    printf("%llu records and %llu chunks, %s: %zu bad", (unsigned long long)v->records,
           (unsigned long long)v->chunks, tc_units_bytes(v->bytes, text), v->bad_count);
    if (removed)
        printf(", %llu removed", (unsigned long long)removed);
    putchar('\n');
}

static int remove_bad(const struct verify *v, struct tc_session *s, uint64_t *removed)
{
    struct tc_keys keys = {0};
    struct tc_cause cause;
    for (size_t i = 0; i < v->bad_count; i++)
        tc_keys_add(&keys, &v->bad[i].head);
    int e = tc_remove_keys(s, &keys, false, removed, &cause);
    uint64_t far;
    if (e == 0)
        (void)tc_far_rm_too(s, keys.key, keys.count, &far);
    if (e < 0)
        tc_problem(&cause);
    tc_keys_free(&keys);
    return e;
}

static int verify_store(struct tc_session *s, bool json, bool remove)
{
    struct tc_reader reader = {0};
    struct tc_cause cause = {.reason = 0};
    struct verify v = {0};
    const struct tc_walk walk = {.restart = restart, .each = check, .ctx = &v};
    uint64_t removed = 0;
    int e = tc_reader_open(&reader, s, &cause);
    if (e == 0) {
        e = tc_reader_walk(&reader, "records", &walk);
        if (e < 0)
            (void)tc_cause_set(&cause, -e, TC_R_NO_STORE, reader.path,
                               "the store can't be walked: %s", strerror(-e));
    }
    if (cause.reason)
        tc_problem(&cause);
    else if (e == 0 && remove && v.bad_count && remove_bad(&v, s, &removed) < 0)
        cause.reason = TC_R_SERVICE_FAILED;
    if (!cause.reason && json)
        print_json(&v, reader.damaged, removed);
    else if (!cause.reason)
        print_text(&v, reader.damaged, removed);
    int status = cause.reason                    ? TC_EXIT_USAGE
                 : v.bad_count || reader.damaged ? TC_EXIT_FOUND
                                                 : TC_EXIT_DONE;
    free(v.bad);
    tc_reader_close(&reader);
    return status;
}

static int run_verify(const struct tc_command *self, int argc, char **argv)
{
    bool remove = false;
    const struct tc_option options[] = {{0, "remove", TC_OPTION_FLAG, &remove},
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
        (void)tc_session_connect(&session);
        status = verify_store(&session, parsed.common.json, remove);
    }
    tc_session_close(&session);
    return status;
}

const struct tc_command tc_command_verify = {
    .storage = true,
    .name = "verify",
    .summary = "Check the checksums of all stored results",
    .usage = "verify [OPTION...]",
    .help = "      --remove               remove the bad ones\n",
    .run = run_verify,
};
