/* cachectl show: all about one record. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/deep.h"
#include "tools/options.h"
#include "tools/render.h"
#include "tools/show_values.h"
#include "tools/units.h"

struct show {
    struct tc_parsed parsed;
    struct tc_show_to to;
    struct tc_shown_record record;
    const struct tc_item *item;
};

static void emit_digest(struct show *s, const struct tc_component *c)
{
    struct tc_text t = {0};
    char size[TC_UNITS_BYTES];
    tc_render_hex(&t, c->content, 16);
    if (!s->to.json)
        tc_text_add(&t, " of %s", tc_units_bytes(c->head.content_bytes, size));
    tc_show_word(&s->to, c->name, c->head.name_bytes, "digest", t.data);
    tc_text_free(&t);
}

/* What counts, and the libraries that it goes into. */
static void emit_deep(struct show *s, const struct tc_component *c)
{
    struct tc_text t = {0};
    struct tc_deep_content deep = {0};
    size_t n = (size_t)c->head.content_bytes;
    memcpy(&deep, c->content, n < sizeof deep ? n : sizeof deep);
    tc_render_hex(&t, deep.digest, sizeof deep.digest);
    for (size_t i = 0; !s->to.json && i < TC_DEEP_OBJECTS && *deep.objects[i].name; i++) {
        const char *name = deep.objects[i].name;
        tc_text_add(&t, "%s", i ? ", " : " of ");
        tc_render_string(&t, (const unsigned char *)name, strnlen(name, TC_DEEP_NAME_BYTES),
                         strnlen(name, TC_DEEP_NAME_BYTES));
    }
    tc_show_word(&s->to, c->name, c->head.name_bytes, "digest", t.data);
    tc_text_free(&t);
}

/* Names, ids and digests: text if it is printable, else hex digits. */
static void emit_bytes(struct show *s, const struct tc_component *c)
{
    struct tc_text t = {0};
    size_t n = (size_t)c->head.content_bytes;
    bool printable = n > 0;
    for (size_t i = 0; i < n; i++)
        printable &= c->content[i] >= 0x20 && c->content[i] < 0x7f;
    if (printable)
        tc_text_addn(&t, (const char *)c->content, n);
    else
        tc_render_hex(&t, c->content, n);
    tc_show_word(&s->to, c->name, c->head.name_bytes, printable ? "id" : "digest",
                 t.data ? t.data : "");
    tc_text_free(&t);
}

/* count, then (length, bytes) each. */
static void emit_strings(struct show *s, const struct tc_component *c)
{
    struct tc_text t = {0};
    uint64_t left = c->head.content_bytes, count, bytes;
    const unsigned char *p = c->content;
    if (left < sizeof count)
        return;
    memcpy(&count, p, sizeof count);
    p += sizeof count;
    left -= sizeof count;
    tc_text_addn(&t, "{", 1);
    for (uint64_t i = 0; i < count && left >= sizeof bytes; i++) {
        memcpy(&bytes, p, sizeof bytes);
        p += sizeof bytes;
        left -= sizeof bytes;
        if (bytes > left)
            break;
        tc_text_add(&t, "%s", i ? ", " : "");
        tc_render_string(&t, p, (size_t)bytes, bytes);
        p += bytes;
        left -= bytes;
    }
    tc_text_addn(&t, "}", 1);
    tc_show_word(&s->to, c->name, c->head.name_bytes, s->to.json ? "strings" : "char *[]", t.data);
    tc_text_free(&t);
}

/* Values with members: what their bytes mean. */
static void describe_members(const struct show *s, uint32_t layout, struct tc_shown_value *v)
{
    const struct tc_task *task = s->record.task;
    const struct tc_layout *layouts;
    const struct tc_member *members;
    if (!task || layout == 0 || layout > task->layouts.count)
        return;
    layouts =
        tc_flat_at(&s->record.config, task->layouts.off, task->layouts.count, sizeof *layouts);
    members =
        tc_flat_at(&s->record.config, task->members.off, task->members.count, sizeof *members);
    if (!layouts || !members || layouts[layout - 1].follows)
        return; /* followed pointers: shown as bytes */
    v->layout = &layouts[layout - 1];
    v->members = members + v->layout->first;
    v->flat = &s->record.config;
}

static void emit_array(struct show *s, const struct tc_component *c, struct tc_shown_value *v)
{
    uint64_t extent[2];
    if (c->head.content_bytes < sizeof extent)
        return;
    memcpy(extent, c->content, sizeof extent);
    v->pieces = extent[0];
    v->piece_bytes = extent[1];
    v->data = c->content + sizeof extent;
    v->total = c->head.content_bytes - sizeof extent;
    v->is_array = true;
    v->type = v->param ? v->param->elem : TC_VOID;
    v->is_char = v->param && v->param->is_char;
    describe_members(s, v->param ? v->param->layout : 0, v);
    /* Elements that are followed: their contents lie here one behind the other. */
    if (!v->layout && v->pieces * v->piece_bytes != v->total) {
        v->pieces = 1;
        v->piece_bytes = v->total;
    }
    tc_show_value(&s->to, v);
}

static void emit_component(struct show *s, const struct tc_component *c)
{
    struct tc_shown_value v = {.name = c->name,
                               .name_bytes = c->head.name_bytes,
                               .pieces = 1,
                               .piece_bytes = c->head.content_bytes,
                               .data = c->content,
                               .total = c->head.content_bytes};
    v.param = tc_shown_param_named(&s->record, v.name, v.name_bytes);
    if (c->head.tag == TC_TAG_NULL) {
        tc_show_word(&s->to, v.name, v.name_bytes, "", "NULL");
    } else if (c->head.form == 1) {
        emit_digest(s, c);
    } else if (c->head.tag >= TC_TAG_SCALAR) {
        v.type = (uint8_t)(c->head.tag - TC_TAG_SCALAR);
        if (tc_scalar_bytes(v.type) == v.total)
            tc_show_value(&s->to, &v);
    } else if (c->head.tag == TC_TAG_STRING) {
        v.type = TC_I8;
        v.is_char = true;
        tc_show_value(&s->to, &v);
    } else if (c->head.tag == TC_TAG_MEMBERS) {
        describe_members(s, v.param ? v.param->layout : 0, &v);
        v.type = TC_MEMBERS;
        tc_show_value(&s->to, &v);
    } else if (c->head.tag == TC_TAG_FILE && v.total == 0) {
        tc_show_word(&s->to, v.name, v.name_bytes, "file", "missing");
    } else if (c->head.tag == TC_TAG_FILE && v.total == 24) {
        struct tc_text t = {0};
        tc_render_hex(&t, c->content + 8, 16);
        tc_show_word(&s->to, v.name, v.name_bytes, "file", t.data);
        tc_text_free(&t);
    } else if (c->head.tag == TC_TAG_FUNCTION && v.total == 16) {
        struct tc_text t = {0};
        tc_render_hex(&t, c->content, 16);
        tc_show_word(&s->to, v.name, v.name_bytes, "code", t.data);
        tc_text_free(&t);
    } else if (v.name_bytes == 5 && memcmp(v.name, "=deep", 5) == 0) {
        emit_deep(s, c);
    } else if (c->head.tag == TC_TAG_ARRAY) {
        emit_array(s, c, &v);
    } else if (c->head.tag == TC_TAG_STRINGS) {
        emit_strings(s, c);
    } else {
        emit_bytes(s, c);
    }
}

static void show_inputs(struct show *s)
{
    struct tc_component c;
    size_t offset = 0;
    int e;
    while ((e = tc_material_next(s->record.view.material, s->record.view.head.material_bytes,
                                 &offset, &c)) > 0)
        emit_component(s, &c);
    if (e < 0)
        tc_show_word(&s->to, "?", 1, "damaged", "the key material can't be read");
}

/* The result's type: rax or xmm0, of which the type says how much counts. */
static void describe_result(const struct show *s, struct tc_shown_value *v)
{
    const struct tc_task *task = s->record.task;
    v->name = "return";
    v->name_bytes = 6;
    v->is_array = false;
    v->type = task ? task->result_type : TC_U64;
    describe_members(s, task ? task->result_layout : 0, v);
    v->total = tc_scalar_bytes(v->type) ? tc_scalar_bytes(v->type) : v->total;
}

static void describe_param(const struct show *s, const struct tc_shown_output *o,
                           struct tc_shown_value *v, char name[32])
{
    v->param = tc_shown_param(&s->record, o->extent.param);
    v->name = name;
    if (v->param)
        v->name = tc_flat_str(&s->record.config, v->param->name);
    else
        (void)snprintf(name, 32, "arg %u", o->extent.param + 1);
    v->name_bytes = strlen(v->name);
    v->type = v->param ? v->param->elem : TC_VOID;
    v->is_char = v->param && v->param->is_char;
    v->is_array = true;
    describe_members(s, v->param ? v->param->layout : 0, v);
}

static void emit_into_arg(struct show *s, const struct tc_shown_output *o)
{
    struct tc_into_arg into = {0};
    char text[128];
    if (tc_shown_output_read(&s->record, o->offset, (unsigned char *)&into, sizeof into) < 0)
        return;
    if (into.is_null) {
        tc_show_word(&s->to, "return", 6, "", "NULL");
        return;
    }
    const struct tc_param *p = tc_shown_param(&s->record, into.param);
    (void)snprintf(text, sizeof text, "%s + %llu bytes",
                   p ? tc_flat_str(&s->record.config, p->name) : "an argument",
                   (unsigned long long)into.offset_bytes);
    tc_show_word(&s->to, "return", 6, "pointer", text);
}

static void emit_output(struct show *s, const struct tc_shown_output *o)
{
    struct tc_shown_value v = {
        .pieces = o->extent.pieces, .piece_bytes = o->extent.piece_bytes, .total = o->bytes};
    char name[32];
    const struct tc_task *task = s->record.task;
    if (o->extent.param == UINT32_MAX && o->bytes == sizeof(struct tc_into_arg) &&
        (!task || task->result_kind == TC_RESULT_INTO_ARG)) {
        emit_into_arg(s, o);
        return;
    }
    if (o->extent.param == UINT32_MAX && !(task && tc_is_owned(&task->owned)))
        describe_result(s, &v);
    else
        describe_param(s, o, &v, name);
    if (o->extent.flags & (TC_EXTENT_NULL | TC_EXTENT_NO_BLOCK)) {
        tc_show_word(&s->to, v.name, v.name_bytes, "", "NULL");
        return;
    }
    if (v.total > o->bytes)
        v.total = o->bytes;
    if (v.param && v.param->shape == TC_SHAPE_TEXT && v.total)
        v.total--; /* the NUL */
    size_t n = tc_shown_bytes(&s->to, &v);
    unsigned char *data = tc_alloc(n);
    v.data = data;
    if (tc_shown_output_read(&s->record, o->offset, data, n) < 0)
        tc_show_word(&s->to, v.name, v.name_bytes, "damaged", "a chunk is missing or damaged");
    else
        tc_show_value(&s->to, &v);
    free(data);
}

static void show_outputs(struct show *s)
{
    struct tc_shown_output o = {0};
    uint32_t index = 0;
    while (tc_shown_output_next(&s->record, &index, &o) > 0)
        emit_output(s, &o);
}

static void text_expiry(const struct tc_record *head, int64_t now)
{
    char text[TC_UNITS_BYTES];
    if (head->expires_ns == TC_NEVER)
        puts("Expires       never");
    else if (tc_record_live(head, now))
        printf("Expires       in %s\n", tc_units_duration(head->expires_ns - now, text));
    else if (head->expires_ns > now)
        printf("Expires       %sexpired%s: it is %s in the future\n", tc_style(stdout, TC_WARN),
               tc_style(stdout, TC_PLAIN), tc_units_duration(head->created_ns - now, text));
    else
        printf("Expires       %sexpired%s %s ago\n", tc_style(stdout, TC_WARN),
               tc_style(stdout, TC_PLAIN), tc_units_duration(now - head->expires_ns, text));
}

static void text_head(const struct show *s)
{
    const struct tc_record *h = &s->record.view.head;
    int64_t now = tc_now_ns();
    char key[33], a[TC_UNITS_BYTES], b[TC_UNITS_BYTES];
    tc_key_hex(h, key);
    printf("Key           %s%s%s\n", tc_style(stdout, TC_BOLD), key, tc_style(stdout, TC_PLAIN));
    printf("Task          %s\n", s->record.identity);
    if (s->record.task)
        printf("Prototype     %s\n", tc_flat_str(&s->record.config, s->record.task->prototype));
    printf("Stored        %s, %s ago", tc_units_time(h->created_ns, a),
           tc_units_duration(now - h->created_ns, b));
    if (*s->item->program)
        printf(", by %s (pid %u)", s->item->program, s->item->pid);
    putchar('\n');
    text_expiry(h, now);
    printf("Duration      %s\n", tc_units_duration(h->duration_ns, a));
    printf("Size          %s", tc_units_bytes(s->item->bytes, a));
    printf(h->chunk_count ? " in %u chunks\n" : "\n", h->chunk_count);
    if (h->flags & TC_RECORD_HEADER)
        puts("Result        in the task's storage: this is its header");
    if (h->flags & TC_RECORD_ERRNO)
        printf("errno         %d (%s)\n", h->err, strerror(h->err));
}

static void json_head(struct show *s)
{
    const struct tc_record *h = &s->record.view.head;
    struct tc_json *j = &s->to.j;
    char key[33];
    tc_key_hex(h, key);
    tc_json_text(j, "key", key);
    tc_json_text(j, "task", s->record.identity);
    tc_json_text(j, "prototype",
                 s->record.task ? tc_flat_str(&s->record.config, s->record.task->prototype) : NULL);
    tc_json_i64(j, "created_ns", h->created_ns);
    if (h->expires_ns == TC_NEVER)
        tc_json_null(j, "expires_ns");
    else
        tc_json_i64(j, "expires_ns", h->expires_ns);
    tc_json_bool(j, "expired", !tc_record_live(h, tc_now_ns()));
    tc_json_i64(j, "duration_ns", h->duration_ns);
    tc_json_u64(j, "bytes", s->item->bytes);
    tc_json_u64(j, "chunks", h->chunk_count);
    tc_json_text(j, "program", *s->item->program ? s->item->program : NULL);
    tc_json_u64(j, "pid", s->item->pid);
    tc_json_bool(j, "header", h->flags & TC_RECORD_HEADER);
    if (h->flags & TC_RECORD_ERRNO)
        tc_json_i64(j, "errno", h->err);
    else
        tc_json_null(j, "errno");
}

static void print_record(struct show *s)
{
    if (!s->to.json) {
        text_head(s);
        puts("Inputs");
        show_inputs(s);
        puts("Outputs");
        show_outputs(s);
        return;
    }
    tc_json_begin(&s->to.j, stdout);
    tc_json_object(&s->to.j, NULL);
    json_head(s);
    tc_json_array(&s->to.j, "inputs");
    show_inputs(s);
    tc_json_close_array(&s->to.j);
    tc_json_array(&s->to.j, "outputs");
    show_outputs(s);
    tc_json_close_array(&s->to.j);
    tc_json_close_object(&s->to.j);
    tc_json_end(&s->to.j);
}

static int show_key(struct show *s, const struct tc_session *session, struct tc_reader *reader,
                    const struct tc_catalog *catalog)
{
    const char *prefix = s->parsed.words.word[0];
    int e = tc_catalog_find(catalog, prefix, &s->item);
    if (e == -ENOENT || e == -EINVAL)
        fprintf(stderr, "cachectl: %s: %s\n", prefix,
                e == -EINVAL ? "a key is hex digits; `cachectl ls` lists them"
                             : "no record has such a key");
    if (e < 0)
        return TC_EXIT_USAGE;
    e = tc_shown_record_open(&s->record, reader, session, s->item);
    if (e == 0)
        print_record(s);
    else
        fprintf(stderr, "cachectl: %s: the record can't be read: %s\n", prefix, strerror(-e));
    tc_shown_record_close(&s->record);
    return e < 0 ? TC_EXIT_FOUND : TC_EXIT_DONE;
}

static int show_in(struct show *s, struct tc_session *session)
{
    s->to.json = s->parsed.common.json;
    struct tc_reader reader = {0};
    struct tc_catalog catalog = {0};
    int status = TC_EXIT_USAGE;
    if (!tc_session_inspect(session, s->parsed.common.config, s->parsed.common.storage, 0))
        return status;
    /* Once connected, all that targets have sent is stored. */
    (void)tc_session_connect(session);
    int e = tc_catalog_open(session, &reader, &catalog);
    if (e == 1)
        fprintf(stderr, "cachectl: nothing is cached yet in %s\n", session->cache);
    if (e == 0)
        status = show_key(s, session, &reader, &catalog);
    tc_catalog_free(&catalog);
    tc_reader_close(&reader);
    return status;
}

static int run_show(const struct tc_command *self, int argc, char **argv)
{
    struct show s = {0};
    const struct tc_option options[] = {{'a', "all", TC_OPTION_FLAG, &s.to.all},
                                        {0, "raw", TC_OPTION_FLAG, &s.to.raw},
                                        {0, NULL, TC_OPTION_FLAG, NULL}};
    TC_CLEANUP(tc_session_close) struct tc_session session = {.client.fd = -1};
    int status;
    if (tc_options_parse(self, options, TC_OPTIONS_ANYWHERE, argc, argv, &s.parsed, &status))
        status = s.parsed.words.count == 1 ? show_in(&s, &session) : tc_usage(self, "which key?");
    tc_parsed_free(&s.parsed);
    return status;
}

const struct tc_command tc_command_show = {
    .storage = true,
    .name = "show",
    .summary = "Show a stored result: its task, inputs and outputs",
    .usage = "show [OPTION...] KEY",
    .help = "  KEY                        the beginning of a key, as `cachectl ls` lists them\n"
            "  -a, --all                  whole arrays and strings\n"
            "      --raw                  their bytes too\n",
    .run = run_show,
};
