/* codec(name): values that plugins read and make. */
#include <stdio.h>
#include <string.h>

#include "service/resolve/proto_ast.h"

/* `codec` is behind us: ( NAME ) or ( PLUGIN . NAME ), up to the closing parenthesis. */
const char *proto_codec_name(struct proto *p)
{
    const char *name;

    proto_expect(p, '(', "`(` and the codec's name");
    if (!proto_is(p, TOK_WORD))
        proto_unexpected(p, "the codec's name");
    name = p->tok++->word;
    while (proto_accept(p, '.')) {
        if (!proto_is(p, TOK_WORD))
            proto_unexpected(p, "the codec's name");
        name = proto_format(p, "%s.%s", name, p->tok++->word);
    }
    if (!proto_is(p, ')'))
        proto_unexpected(p, "`)`");
    return name;
}

static void find(struct proto *p, struct proto_param *x)
{
    struct tc_text_error e = {.reason = TC_R_NO_SUCH_FUNCTION};
    struct tc_proto_codec found;

    if (p->text->codec == NULL)
        proto_fail(p, TC_R_NO_SUCH_FUNCTION, x->qualifier_at, "", "there are no codecs here");
    if (p->text->codec(p->text->codec_ctx, x->codec, x->direction == TC_IN, &found, &e) < 0)
        proto_fail(p, e.reason, x->qualifier_at, e.remedy, "%s", e.sentence);
    x->codec = proto_format(p, "%s", found.name);
    x->codec_number = found.number;
}

void proto_check_codec(struct proto *p, struct proto_param *x)
{
    const char *name = p->fn->name;

    if (!x->is_pointer || x->type->kind == K_ARRAY)
        proto_fail(p, TC_R_BAD_PROTOTYPE, x->qualifier_at, "codec(NAME) T *p",
                   "parameter '%.50s' of '%.50s' isn't one pointer: that is what a codec takes",
                   x->name, name);
    if (x->file || x->is_malloc || x->dir == TC_HIDDEN)
        proto_fail(p, TC_R_BAD_PROTOTYPE, x->qualifier_at, "",
                   "parameter '%.50s' of '%.50s': a codec does all by itself", x->name, name);
    if (x->dir == TC_INOUT)
        proto_fail(p, TC_R_NOT_YET, x->qualifier_at, NULL,
                   "parameter '%.50s' of '%.50s': `inout` with a codec isn't built yet", x->name,
                   name);
    if (x->dir == TC_OUT && x->elem->is_const)
        proto_fail(p, TC_R_BAD_PROTOTYPE, x->at, "",
                   "parameter '%.50s' of '%.50s' points at const: nothing can be written there",
                   x->name, name);
    x->shape = TC_SHAPE_CODEC;
    x->direction = x->dir == TC_OUT ? TC_OUT : TC_IN;
    find(p, x);
}

bool proto_check_codec_result(struct proto *p)
{
    struct proto_function *f = p->fn;
    struct proto_param *x = &f->owned;

    if (f->result_codec == NULL)
        return false;
    if (f->result->kind != K_POINTER || f->result_malloc || f->result_static)
        proto_fail(p, TC_R_BAD_PROTOTYPE, f->result_qualifier_at, "",
                   "'%.60s': a codec makes a result that is a pointer, and its owner", f->name);
    x->name = "return";
    x->at = x->type_at = f->result_at;
    x->qualifier_at = f->result_qualifier_at;
    x->type = x->value = f->result;
    x->is_pointer = true;
    x->elem = f->result->to;
    x->codec = f->result_codec;
    x->shape = TC_SHAPE_CODEC;
    x->direction = TC_OUT;
    find(p, x);
    f->result_kind = TC_RESULT_CODEC;
    return true;
}
