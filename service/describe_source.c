#include "service/describe_source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "service/resolve/source.h"

/* Labels are names and strings of the object: no tab or newline of theirs ends a field. */
static void print_text(FILE *to, const char *text)
{
    for (; *text != 0; text++)
        (void)fputc((unsigned char)*text < 32 || *text == 127 ? '?' : *text, to);
}

static void print_digest(FILE *to, const uint8_t digest[16])
{
    for (int i = 0; i < 16; i++)
        (void)fprintf(to, "%02x", digest[i]);
}

static void print_source(const struct tc_source *s, FILE *to)
{
    static const char *const kinds[] = {"", "code", "data", "rest"};

    (void)fputs("digest\t", to);
    print_digest(to, s->digest);
    (void)fprintf(to, "\t%zu\t%d\n", s->indirect_calls, s->whole);
    for (size_t i = 0; i < s->item_count; i++) {
        const struct tc_source_item *item = &s->items[i];
        (void)fprintf(to, "item\t%s\t%llu\t%llu\t", kinds[item->kind],
                      (unsigned long long)item->begin, (unsigned long long)item->end);
        print_digest(to, item->digest);
        (void)fputc('\t', to);
        print_text(to, item->label);
        (void)fputc('\n', to);
    }
    for (size_t i = 0; i < s->ref_count; i++) {
        const struct tc_source_ref *ref = &s->refs[i];
        if (ref->from == ref->to)
            continue;
        (void)fprintf(to, "ref\t%u\t%d\t%s\t", ref->from, ref->to == TC_NO_ITEM ? -1 : (int)ref->to,
                      ref->coarse != NULL ? ref->coarse : "");
        print_text(to, ref->label);
        (void)fputc('\n', to);
    }
}

static int refuse(FILE *to, uint32_t reason, const char *detail)
{
    (void)fprintf(to, "refused\t%s\t", tc_reason_info(reason)->id);
    print_text(to, detail);
    (void)fputc('\n', to);
    return 1;
}

static int describe(const struct tc_image *im, const char *symbol, int deep, FILE *to)
{
    struct tc_function f;
    struct tc_source s;
    struct tc_map m;
    int r;

    if (im->reason != 0)
        return refuse(to, im->reason, "");
    (void)tc_function_find(im, symbol, "", &f);
    if (f.reason != 0)
        return refuse(to, f.reason, f.detail);
    r = tc_map_open(im, &m);
    if (r < 0)
        return refuse(to, TC_R_RESOLVER_FAILED, strerror(-r));
    r = tc_source_make(&m, (struct tc_piece){f.vaddr, f.bytes},
                       deep ? TC_SOURCE_DEEP : TC_SOURCE_OWN, &s);
    tc_map_close(&m);
    if (r < 0)
        return refuse(to, TC_R_RESOLVER_FAILED, strerror(-r));
    print_source(&s, to);
    tc_source_free(&s);
    return 0;
}

int tc_describe_source(const char *path, const char *symbol, int deep, FILE *to)
{
    struct tc_image im;
    int r, fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    r = fd >= 0 ? tc_image_open_fd(fd, path, &im) : -errno;
    if (fd >= 0)
        (void)close(fd);
    if (r < 0)
        return refuse(to, TC_R_FILE_MISMATCH, strerror(-r));
    r = describe(&im, symbol, deep, to);
    tc_image_close(&im);
    return r;
}
