/* How many exported functions of the libraries at hand can be hooked; those that aren't there don't
 * count. */
#include <elf.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/reason.h"
#include "service/resolve/window.h"

#define LIBS "/usr/lib/x86_64-linux-gnu/"

static double seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void count_library(const char *path)
{
    struct tc_image im;
    unsigned by[TC_REASON_COUNT] = {0}, count = 0, possible = 0;
    double start = seconds();
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    assert_int_equal(tc_image_open_fd(fd, NULL, &im), 0);
    (void)close(fd);
    struct tc_candidate *all = calloc(im.symbols.count + 1, sizeof *all);
    struct tc_candidate **list = calloc(im.symbols.count + 1, sizeof(struct tc_candidate *));
    assert_true(all != NULL && list != NULL);
    for (size_t i = 0; i < im.symbols.count; i++) {
        const struct tc_symbol *s = &im.symbols.all[i];
        char name[1024];
        (void)snprintf(name, sizeof name, "%.*s", (int)s->name_bytes, s->name);
        if (!(s->flags & TC_SYMBOL_EXPORTED) || s->flags & TC_SYMBOL_OLD_VERSION ||
            s->type != STT_FUNC)
            continue;
        list[count] = &all[count];
        (void)tc_function_find(&im, name, "", &all[count].function);
        if (all[count].function.reason == 0)
            tc_window_find(&im, &all[count].function, &all[count].window);
        count++;
    }
    assert_int_equal(tc_windows_check(&im, list, count), 0);
    for (unsigned i = 0; i < count; i++) {
        uint32_t r = all[i].function.reason != 0 ? all[i].function.reason : all[i].window.reason;
        by[r]++;
    }
    possible = count - by[TC_R_TOO_SHORT] - by[TC_R_IFUNC];
    print_message("%s: %u functions, %u hookable, %u too short, %u branch into window, %u branch "
                  "to entry, %u unsupported, %.0f ms\n",
                  strrchr(path, '/') + 1, count, by[0], by[TC_R_TOO_SHORT],
                  by[TC_R_BRANCH_INTO_WINDOW], by[TC_R_BRANCH_TO_ENTRY], by[TC_R_UNSUPPORTED_INSN],
                  (seconds() - start) * 1e3);
    assert_true(count > 0 && by[0] * 100.0 >= 97.0 * possible);
    free(all);
    free(list);
    tc_image_close(&im);
}

static void most_functions_of_libraries_are_hookable(void **state)
{
    (void)state;
    count_library(LIBS "libz.so.1");
    count_library(LIBS "lapack/liblapack.so.3");
    count_library(LIBS "libcrypto.so.3");
    count_library(LIBS "libc.so.6");
    count_library(LIBS "libm.so.6");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(most_functions_of_libraries_are_hookable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
