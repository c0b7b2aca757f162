#include "service/resolve/config_yaml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libfyaml.h>

#define DEEPEST  64   /* libfyaml's own limit */
#define MAX_KEYS 4096 /* of one map: keys are compared with each other */

struct tc_yaml_block {
    struct tc_yaml_block *next;
    max_align_t data[];
};

/* A list or map that is being read. */
struct open {
    struct tc_yaml_node *node, **tail;
    struct tc_yaml_node *key; /* of a map: read, its value not yet */
};

struct reader {
    struct tc_yaml *y;
    void (*report)(void *ctx, const struct tc_text_error *e);
    void *ctx;
    struct open open[DEEPEST + 1];
    unsigned depth, flow_depth, documents;
    const struct tc_yaml_node *last_key;
    size_t last_end; /* of what was read last */
    int reported, no_memory;
};

void *tc_yaml_alloc(struct tc_yaml *y, size_t bytes)
{
    struct tc_yaml_block *b = calloc(1, sizeof *b + bytes);

    if (b == NULL)
        return NULL;
    b->next = y->blocks;
    y->blocks = b;
    return b->data;
}

void tc_yaml_free(struct tc_yaml *y)
{
    while (y->blocks != NULL) {
        struct tc_yaml_block *next = y->blocks->next;

        free(y->blocks);
        y->blocks = next;
    }
    y->root = NULL;
}

int tc_yaml_is_code_key(const char *key)
{
    static const char *const keys[] = {"prototype", "types", "skip", "success"};

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(key, keys[i]) == 0)
            return 1;
    return 0;
}

static void fail(struct reader *r, enum tc_reason reason, size_t at, const char *remedy,
                 const char *sentence, const char *what)
{
    struct tc_text_error e;

    tc_text_fail(&e, reason, at, remedy, sentence, what);
    r->reported = 1;
    r->report(r->ctx, &e);
}

static struct tc_yaml_node *new_node(struct reader *r, enum tc_yaml_kind kind)
{
    struct tc_yaml_node *n = tc_yaml_alloc(r->y, sizeof *n);

    if (n == NULL) {
        r->no_memory = 1;
        return NULL;
    }
    n->kind = (uint8_t)kind;
    n->text = "";
    n->in_flow = r->flow_depth > 0;
    return n;
}

static size_t clamp(const struct reader *r, size_t at)
{
    return at < r->y->bytes ? at : r->y->bytes;
}

static size_t token_start(struct reader *r, struct fy_token *t)
{
    const struct fy_mark *m = t ? fy_token_start_mark(t) : NULL;

    return m ? clamp(r, m->input_pos) : SIZE_MAX;
}

/* The next `-` of a block list, for an item of which there is nothing else. */
static size_t next_dash(const struct reader *r, size_t otherwise)
{
    const char *text = r->y->text;
    size_t at = r->last_end;

    while (at < r->y->bytes && strchr(" \t\r\n#", text[at]) != NULL) {
        const char *end = text[at] == '#' ? memchr(text + at, '\n', r->y->bytes - at) : NULL;

        at = end ? (size_t)(end - text) : at + 1;
    }
    return at < r->y->bytes && text[at] == '-' ? at : otherwise;
}

/* Nothing has a place of its own where YAML found nothing: it is then told at the key. */
static size_t place_of_nothing(const struct reader *r)
{
    const struct open *o = r->depth > 0 ? &r->open[r->depth - 1] : NULL;

    if (o != NULL && o->key != NULL)
        return o->key->start;
    return o != NULL ? next_dash(r, o->node->start) : 0;
}

static void refuse_decoration(struct reader *r, struct tc_yaml_node *n, struct fy_token *tag,
                              struct fy_token *anchor)
{
    struct fy_token *t = tag ? tag : anchor;
    size_t at = token_start(r, t);
    const char sign = tag ? '!' : '&';

    if (t == NULL)
        return;
    /* The token's mark is the name behind the sign, for anchors. */
    if (at == SIZE_MAX)
        at = place_of_nothing(r);
    else if (at > 0 && r->y->text[at] != sign && r->y->text[at - 1] == sign)
        at--;
    n->spoilt = 1;
    fail(r, TC_R_NEEDS_QUOTES, at, NULL,
         tag ? "YAML reads what begins with '!' as a tag%s"
             : "YAML reads what begins with '&' as an anchor%s",
         "");
}

static int is_null_word(const char *text)
{
    return strcmp(text, "") == 0 || strcmp(text, "~") == 0 || strcmp(text, "null") == 0 ||
           strcmp(text, "Null") == 0 || strcmp(text, "NULL") == 0;
}

static uint8_t style_of(struct fy_token *value)
{
    switch (fy_token_scalar_style(value)) {
    case FYSS_SINGLE_QUOTED:
        return TC_YAML_SINGLE;
    case FYSS_DOUBLE_QUOTED:
        return TC_YAML_DOUBLE;
    case FYSS_LITERAL:
        return TC_YAML_LITERAL;
    case FYSS_FOLDED:
        return TC_YAML_FOLDED;
    default:
        return TC_YAML_PLAIN;
    }
}

static struct tc_yaml_node *text_node(struct reader *r, struct fy_event *e)
{
    struct fy_token *value = e->scalar.value;
    struct tc_yaml_node *n = new_node(r, TC_YAML_TEXT);
    const struct fy_mark *end = value ? fy_token_end_mark(value) : NULL;
    const char *text;
    char *copy;
    size_t bytes = 0;

    if (n == NULL)
        return NULL;
    text = value ? fy_token_get_text(value, &bytes) : NULL;
    copy = tc_yaml_alloc(r->y, bytes + 1);
    if (copy == NULL) {
        r->no_memory = 1;
        return NULL;
    }
    if (text != NULL)
        memcpy(copy, text, bytes);
    n->text = copy;
    n->bytes = strlen(copy);
    n->style = style_of(value);
    n->start = token_start(r, value);
    n->end = end ? clamp(r, end->input_pos) : n->start;
    if (n->start == SIZE_MAX)
        n->start = n->end = place_of_nothing(r);
    if (n->bytes != bytes)
        fail(r, TC_R_SYNTAX, n->start, "", "the text holds a NUL character%s", "");
    if (n->style == TC_YAML_PLAIN && is_null_word(copy))
        n->kind = TC_YAML_NULL;
    refuse_decoration(r, n, e->scalar.tag, e->scalar.anchor);
    return n;
}

static void check_key(struct reader *r, struct open *o, struct tc_yaml_node *key)
{
    if (key->kind != TC_YAML_TEXT && key->kind != TC_YAML_NULL) {
        fail(r, TC_R_WRONG_TYPE, key->start, "", "a key must be a word%s", "");
        key->text = "";
        key->spoilt = 1;
        return;
    }
    if (o->node->count >= MAX_KEYS) {
        if (o->node->count == MAX_KEYS)
            fail(r, TC_R_TOO_MANY, key->start, "", "a map has at most 4096 keys%s", "");
        return;
    }
    for (const struct tc_yaml_node *n = o->node->first; n != NULL && !key->spoilt; n = n->next)
        if (strcmp(n->key, key->text) == 0) {
            fail(r, TC_R_DUPLICATE_KEY, key->start, NULL, "'%.60s' is given twice", key->text);
            key->spoilt = 1;
        }
}

/* Hangs a finished (or just opened) node into the tree. */
static void attach(struct reader *r, struct tc_yaml_node *n)
{
    struct open *o;

    if (r->depth == 0) {
        if (r->y->root == NULL)
            r->y->root = n;
        return;
    }
    o = &r->open[r->depth - 1];
    if (o->node->kind == TC_YAML_MAP && o->key == NULL) {
        check_key(r, o, n);
        o->key = n;
        r->last_key = n;
        return;
    }
    if (o->node->kind == TC_YAML_MAP) {
        n->key = o->key->text;
        n->key_at = o->key->start;
        n->spoilt |= o->key->spoilt;
        o->key = NULL;
        if (o->node->count++ > MAX_KEYS)
            return;
    } else {
        o->node->count++;
    }
    *o->tail = n;
    o->tail = &n->next;
}

static int open_node(struct reader *r, struct fy_event *e, enum tc_yaml_kind kind)
{
    struct fy_token *start =
        kind == TC_YAML_MAP ? e->mapping_start.mapping_start : e->sequence_start.sequence_start;
    struct tc_yaml_node *n = new_node(r, kind);

    if (n == NULL)
        return -ENOMEM;
    n->start = token_start(r, start);
    if (n->start == SIZE_MAX)
        n->start = place_of_nothing(r);
    n->end = n->start;
    if (kind == TC_YAML_MAP)
        refuse_decoration(r, n, e->mapping_start.tag, e->mapping_start.anchor);
    else
        refuse_decoration(r, n, e->sequence_start.tag, e->sequence_start.anchor);
    attach(r, n);
    if (r->depth == DEEPEST) {
        fail(r, TC_R_SYNTAX, n->start, "", "nested too deeply%s", "");
        return -EINVAL;
    }
    if (r->flow_depth > 0 || (n->start < r->y->bytes && strchr("[{", r->y->text[n->start])))
        r->flow_depth++;
    r->open[r->depth++] = (struct open){.node = n, .tail = &n->first};
    return 0;
}

static int close_node(struct reader *r)
{
    if (r->depth == 0)
        return -EINVAL;
    r->depth--;
    if (r->flow_depth > 0)
        r->flow_depth--;
    return 0;
}

static int alias(struct reader *r, struct fy_event *e)
{
    struct tc_yaml_node *n = new_node(r, TC_YAML_NULL);
    size_t at = token_start(r, e->alias.anchor);

    if (n == NULL)
        return -ENOMEM;
    if (at == SIZE_MAX)
        at = place_of_nothing(r);
    else if (at > 0 && r->y->text[at - 1] == '*')
        at--;
    n->start = n->end = at;
    n->spoilt = 1;
    fail(r, TC_R_NEEDS_QUOTES, at, NULL, "YAML reads what begins with '*' as an alias%s", "");
    attach(r, n);
    return 0;
}

static int take_event(struct reader *r, struct fy_event *e)
{
    struct tc_yaml_node *n;

    switch (e->type) {
    case FYET_DOCUMENT_START:
        if (r->documents++ == 0)
            return 0;
        fail(r, TC_R_SYNTAX,
             clamp(r, fy_event_start_mark(e) ? fy_event_start_mark(e)->input_pos : r->y->bytes), "",
             "a config is one YAML document%s", "");
        return -EINVAL;
    case FYET_SCALAR:
        n = text_node(r, e);
        if (n == NULL)
            return -ENOMEM;
        attach(r, n);
        return 0;
    case FYET_ALIAS:
        return alias(r, e);
    case FYET_MAPPING_START:
        return open_node(r, e, TC_YAML_MAP);
    case FYET_SEQUENCE_START:
        return open_node(r, e, TC_YAML_LIST);
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END:
        return close_node(r);
    default:
        return 0;
    }
}

/* libfyaml's line and column (from 1, in characters) as an offset. */
static size_t offset_of(const struct tc_yaml *y, int line, int column)
{
    size_t at = 0;

    for (int l = 1; l < line && at < y->bytes; l++) {
        const char *end = memchr(y->text + at, '\n', y->bytes - at);

        at = end ? (size_t)(end - y->text) + 1 : y->bytes;
    }
    for (int c = 1; c < column && at < y->bytes && y->text[at] != '\n'; c++)
        do
            at++;
        while (at < y->bytes && ((unsigned char)y->text[at] & 0xc0) == 0x80);
    return at;
}

/* Did YAML stumble over the special characters of a prototype or expression? Then say what helps:
 * the value of the last key is C, begins without quotes and goes on to the place of the error. */
static int stumbled_over_code(const struct reader *r, size_t at)
{
    const char *text = r->y->text;
    size_t value;

    if (r->last_key == NULL || !tc_yaml_is_code_key(r->last_key->text) || r->last_key->end > at)
        return 0;
    value = r->last_key->end;
    while (value < at && (text[value] == ' ' || text[value] == ':'))
        value++;
    return memchr("'\"|>\n", text[value], 5) == NULL &&
           memchr(text + value, '\n', at - value) == NULL;
}

static void report_syntax(struct reader *r, struct fy_diag *diag)
{
    void *state = NULL;
    struct fy_diag_error *e = fy_diag_errors_iterate(diag, &state);
    size_t at = e ? offset_of(r->y, e->line, e->column) : r->y->bytes;

    /* An alias or tag that was told already is the cause, not the consequence. */
    if (r->reported)
        return;
    if (stumbled_over_code(r, at))
        fail(r, TC_R_NEEDS_QUOTES, at, NULL, "YAML's special characters end the text of `%s` here",
             r->last_key->text);
    else
        fail(r, TC_R_SYNTAX, at, NULL, "%.150s", e && e->msg ? e->msg : "this isn't YAML");
}

/* libfyaml takes a NUL for the end of the file and passes over bytes that aren't UTF-8. */
static int is_text(struct reader *r)
{
    const unsigned char *p = (const unsigned char *)r->y->text;
    const unsigned char *end = p + r->y->bytes;

    while (p < end) {
        int more = *p < 0x80   ? 0
                   : *p < 0xc2 ? -1
                   : *p < 0xe0 ? 1
                   : *p < 0xf0 ? 2
                   : *p < 0xf5 ? 3
                               : -1;
        int ok = more >= 0 && end - p > more && *p != 0;

        for (int i = 1; ok && i <= more; i++)
            ok = (p[i] & 0xc0) == 0x80;
        if (!ok) {
            fail(r, TC_R_SYNTAX, (size_t)(p - (const unsigned char *)r->y->text), "", "%s",
                 *p == 0 ? "the file holds a NUL byte" : "the file isn't UTF-8");
            return 0;
        }
        p += more + 1;
    }
    return 1;
}

static int read_events(struct reader *r, struct fy_parser *parser, struct fy_diag *diag)
{
    struct fy_event *e;
    int status = 0, ended = 0;

    while (status == 0 && !ended && (e = fy_parser_parse(parser)) != NULL) {
        const struct fy_mark *end = fy_event_end_mark(e);

        ended = e->type == FYET_STREAM_END;
        status = take_event(r, e);
        r->last_end = end ? clamp(r, end->input_pos) : r->last_end;
        fy_parser_event_free(parser, e);
        if (r->no_memory)
            status = -ENOMEM;
    }
    if (status == 0 && !ended)
        report_syntax(r, diag);
    if (status < 0 || !ended)
        r->y->root = NULL;
    return status == -ENOMEM ? -ENOMEM : 0;
}

int tc_yaml_parse(const char *text, size_t bytes,
                  void (*report)(void *ctx, const struct tc_text_error *e), void *ctx,
                  struct tc_yaml *ret)
{
    struct reader r = {.y = ret, .report = report, .ctx = ctx};
    struct fy_diag_cfg diag_cfg;
    struct fy_parse_cfg cfg = {.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_JSON_NONE};
    struct fy_parser *parser;
    int status = -ENOMEM;

    ret->text = text;
    ret->bytes = bytes;
    ret->root = NULL;
    if (!is_text(&r))
        return 0;
    fy_diag_cfg_default(&diag_cfg);
    diag_cfg.fp = NULL;
    cfg.diag = fy_diag_create(&diag_cfg);
    if (cfg.diag == NULL)
        return -ENOMEM;
    fy_diag_set_collect_errors(cfg.diag, true);
    parser = fy_parser_create(&cfg);
    if (parser != NULL && fy_parser_set_string(parser, text, bytes) == 0)
        status = read_events(&r, parser, cfg.diag);
    if (parser != NULL)
        fy_parser_destroy(parser);
    fy_diag_destroy(cfg.diag);
    return status;
}
