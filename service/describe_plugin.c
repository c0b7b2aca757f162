#include "service/describe_plugin.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "service/resolve/plugin_read.h"
#include "service/resolve/trust.h"

static int refused(FILE *to, enum tc_reason reason, const char *sentence)
{
    (void)fprintf(to, "refused\t%s\t%s\n", tc_reason_info(reason)->id, sentence);
    return 1;
}

static int check_trust(const char *path, FILE *to)
{
    char culprit[PATH_MAX] = "", sentence[PATH_MAX + 40];

    if (tc_trusted(path, geteuid(), culprit, sizeof culprit) == 0)
        return 0;
    (void)snprintf(sentence, sizeof sentence, "somebody else could change '%s'",
                   culprit[0] != 0 ? culprit : path);
    return refused(to, TC_R_UNTRUSTED, sentence);
}

static const char *or_empty(const char *text)
{
    return text != NULL ? text : "";
}

int tc_describe_plugin(const char *path, FILE *to)
{
    struct tc_plugin p;
    struct tc_text_error e = {.reason = TC_R_BAD_PLUGIN};

    char real[PATH_MAX];

    if (realpath(path, real) != NULL && check_trust(real, to) != 0)
        return 1;
    if (tc_plugin_read(path, &p, &e) < 0)
        return refused(to, e.reason, e.sentence);
    (void)fprintf(to, "plugin\t%s\t%s\t%u.%u\t%d\t%" PRIu64 "\t%s\t%s\n", p.name, p.version,
                  p.abi_major, p.abi_minor, p.has_code, p.claims, or_empty(p.licence),
                  or_empty(p.description));
    for (size_t i = 0; i < p.task_count; i++)
        (void)fprintf(to, "task\t%s\n", p.tasks[i].text.symbol);
    if (p.has_code && p.has_static_tls)
        (void)refused(to, TC_R_PLUGIN_STATIC_TLS, tc_reason_info(TC_R_PLUGIN_STATIC_TLS)->sentence);
    tc_plugin_free(&p);
    return 0;
}
